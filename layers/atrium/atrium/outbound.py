"""One HTTPS request to a URL that a stranger chose.

Such a URL must not reach anything that only Atrium's network can. So a URL is parsed once, by a grammar that knows one
spelling of each thing; its host is looked up once; all addresses found are judged; and the connection is made to one of
these, so that a name which is looked up differently a moment later changes nothing. TLS is for the name.

The request runs in a thread of its own, and the caller waits for it until the deadline. Neither a resolver that hangs
nor a server that sends a byte now and then can keep the caller longer. The connection is cut, so that the thread ends.

The HTTP is `http.client`'s, the library below urllib3. urllib3 would log the whole URL of an answer with a malformed
header, and URLs of webhooks carry tokens.
"""

import re
import socket
import ssl
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import closing, suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from io import BufferedReader, RawIOBase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from threading import Lock, Thread
from typing import Any, Literal, NamedTuple

# AWS_CA_BUNDLE may hold Amazon's roots only. This file holds all.
from botocore.httpsession import DEFAULT_CA_BUNDLE

# From the look-up of the name to the last byte that is read.
SECONDS = 15.0

PORTS = (443, 8443)

# The most bytes that are read of an answer, its status line and headers included.
_MAX_BYTES = 64 * 1024

# How many of a name's addresses are tried, so that a name with many makes no flood of connections.
_MAX_ADDRESSES = 3

_DEFAULT_PORTS = {"https": 443, "http": 80}

_VISIBLE = re.compile("[!-~]*")
_NEVER_IN_URLS = re.compile(r'["<>\\^`{|}]')
_PARTS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(#.*)?")
_PORT = re.compile("[1-9][0-9]{0,4}")
_LABEL = "(?!-)[a-z0-9-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
# A last label that is a number makes the whole an IPv4 address for some resolvers, in one of many spellings.
_NUMERIC = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")

# Python, or a version of it, calls these global.
_NOT_PUBLIC: tuple[IPv4Network | IPv6Network, ...] = (
    IPv4Network("192.0.0.0/24"),
    # Each address of these holds one of IPv4, which may be any: NAT64, 6to4, and an older form.
    *(IPv6Network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "::/96")),
)

_DELAY = re.compile("[0-9]{1,9}")

Reason = Literal["address_refused", "name_unknown", "no_connection", "tls_failed", "timed_out", "no_http"]


class UnfitUrl(ValueError):
    """A URL to which no request is made. `message` says what to correct and holds nothing of the URL."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotSent(Exception):
    """No answer came. `reason` says at which step:

    - address_refused: the host has an address that is not public, or no IPv4 address
    - name_unknown: the host has no address
    - no_connection: no address takes a connection
    - tls_failed: no TLS, or a certificate that is not valid for the host
    - timed_out: the whole took more than SECONDS
    - no_http: the connection ended without an answer, or the answer is not HTTP or too long
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Url(NamedTuple):
    """A URL that was parsed; `target` is its path and query. Two spellings of the same URL are equal."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def text(self) -> str:
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.target}"


class Answer(NamedTuple):
    """The parts of an answer that are kept. `retry_after` is in seconds from now, None if absent or senseless."""

    status: int
    retry_after: float | None


# ---------------------------------------------------------------- the URL


def parsed(text: str, *, loopback: bool) -> Url:
    """The parts of a URL, without its fragment. `loopback` also allows http, and any port, of this machine. Raises
    UnfitUrl.
    """
    if not _VISIBLE.fullmatch(text):
        raise UnfitUrl(
            "Write the URL in visible ASCII characters: percent-encode others, and write a host's name in its xn-- form"
        )
    if _NEVER_IN_URLS.search(text):
        raise UnfitUrl('Percent-encode each of " < > \\ ^ ` { | } in the URL')
    found = _PARTS.fullmatch(text)
    if found is None:
        raise UnfitUrl("Must be a URL that begins with https://")
    scheme, authority, target = found["scheme"].lower(), found["authority"], found["target"]
    if "@" in authority:
        raise UnfitUrl("Take the user name and the password out of the URL")
    host, colon, port_text = authority.lower().partition(":")
    on_this_machine = loopback and _is_this_machine(host)
    if scheme != "https" and not (scheme == "http" and on_this_machine):
        raise UnfitUrl("Must be a URL that begins with https://")
    _require_host(host, loopback, on_this_machine)
    port = _DEFAULT_PORTS[scheme]
    if colon:
        port = int(port_text) if _PORT.fullmatch(port_text) else 0
    if on_this_machine and not 1 <= port <= 65535:
        raise UnfitUrl("The port must be a number from 1 to 65535")
    if not on_this_machine and port not in PORTS:
        raise UnfitUrl("The port must be 443 or 8443")
    return Url(scheme, host, port, target if target.startswith("/") else f"/{target}")


def _require_host(host: str, loopback: bool, on_this_machine: bool) -> None:
    """Raises UnfitUrl for what is neither a name with a domain nor a public IPv4 address."""
    if _NUMERIC.fullmatch(host):
        address = _dotted_quad(host)
        if address is None:
            raise UnfitUrl("Write the host's address as four decimal numbers, such as 203.0.113.7, or use its name")
        if not _is_fit(address, loopback):
            raise UnfitUrl("The host's address must be public")
    elif len(host) > 253 or not _NAME.fullmatch(host):
        raise UnfitUrl("The host must be a name of letters, digits, hyphens and single dots, or an IPv4 address")
    elif "." not in host and not on_this_machine:
        raise UnfitUrl("The host's name must have a domain, such as example.com")


def _is_this_machine(host: str) -> bool:
    address = _dotted_quad(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _dotted_quad(host: str) -> IPv4Address | None:
    # Python takes no number with a leading zero, which some resolvers read as octal.
    with suppress(ValueError):
        return IPv4Address(host)
    return None


def _is_fit(address: IPv4Address | IPv6Address, loopback: bool) -> bool:
    if address.is_loopback:
        return loopback
    return address.is_global and not address.is_multicast and not any(address in network for network in _NOT_PUBLIC)


# ---------------------------------------------------------------- the request


def post(url: Url, headers: Mapping[str, str], body: bytes, *, loopback: bool) -> Answer:
    """Sends one POST request, and follows no redirect. Raises NotSent, after at most SECONDS."""
    line = _Line()
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(_exchange(url, headers, body, loopback, line))
        except BaseException as error:
            answer.set_exception(error)

    Thread(target=run, daemon=True).start()
    try:
        return answer.result(SECONDS)
    except TimeoutError:
        line.cut()
        raise NotSent("timed_out") from None


class _Line:
    """The connection of a request, which another thread can cut."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_cut = False
        self._socket: socket.socket | None = None

    def hold(self, connection: socket.socket) -> None:
        """Makes this the connection that is cut, in place of another. Raises NotSent if the line is cut already."""
        self.close()
        with self._lock:
            if self._is_cut:
                raise NotSent("timed_out")
            # A TLS handshake takes the descriptor out of its socket. A copy can end the connection even then.
            self._socket = connection.dup()

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            if self._socket:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            if self._socket:
                self._socket.close()
                self._socket = None


def _exchange(url: Url, headers: Mapping[str, str], body: bytes, loopback: bool, line: _Line) -> Answer:
    addresses = _addresses(url.host, loopback)
    with closing(line), closing(_connected(addresses, url.port, line)) as connected:
        if url.scheme == "http":
            return _asked(HTTPConnection(url.host, url.port), connected, url, headers, body)
        with closing(_secured(connected, url.host)) as secured:
            return _asked(HTTPSConnection(url.host, url.port, context=_trust()), secured, url, headers, body)


def _addresses(host: str, loopback: bool) -> list[str]:
    """The IPv4 addresses of a host, all of whose addresses are fit. Raises NotSent."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotSent("name_unknown") from None
    addresses = [ip_address(where[0]) for *_, where in found]
    usable = [str(address) for address in addresses if address.version == 4]
    if not usable or not all(_is_fit(address, loopback) for address in addresses):
        raise NotSent("address_refused")
    return usable


def _connected(addresses: list[str], port: int, line: _Line) -> socket.socket:
    """A connection to the first of some addresses that takes one. Raises NotSent."""
    for address in addresses[:_MAX_ADDRESSES]:
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            # First, so that a look-up which ends after the deadline is followed by no connection.
            line.hold(connection)
            # Longer than the caller waits, whose deadline alone decides. This one only ends the thread.
            connection.settimeout(2 * SECONDS)
            connection.connect((address, port))
        except OSError:
            connection.close()
        except NotSent:
            connection.close()
            raise
        else:
            return connection
    raise NotSent("no_connection")


def _secured(connected: socket.socket, host: str) -> ssl.SSLSocket:
    """The connection under TLS, with a certificate for the host. Raises NotSent."""
    context = _trust()
    try:
        return context.wrap_socket(connected, server_hostname=host)
    except (OSError, ValueError):
        raise NotSent("tls_failed") from None


@cache
def _trust() -> ssl.SSLContext:
    """Every public root. Reading them takes a while, so it is done once, by the first request."""
    return ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE)


def _asked(
    connection: HTTPConnection, connected: socket.socket, url: Url, headers: Mapping[str, str], body: bytes
) -> Answer:
    """The answer to a request over a connection that is there. Raises NotSent."""
    connection.sock = connected
    # Otherwise the library would look the name up itself to connect anew.
    connection.auto_open = 0
    connection.response_class = _Response
    try:
        # A server may answer and close before it has read the body.
        with suppress(BrokenPipeError):
            connection.request("POST", url.target, body, {"User-Agent": "atrium", "Connection": "close", **headers})
        response = connection.getresponse()
    except ssl.SSLError:
        # With TLS 1.3 a server says only now that it wants a certificate of its client.
        raise NotSent("tls_failed") from None
    except (HTTPException, OSError, _TooLongError):
        raise NotSent("no_http") from None
    with closing(response):
        try:
            while response.read(8192):
                pass
        except (HTTPException, OSError, ValueError, _TooLongError):
            # The status has been read, and a body that is cut short, malformed or too long does not change it.
            pass
        return Answer(response.status, _seconds(response.headers.get("Retry-After")))


class _TooLongError(Exception):
    """More than _MAX_BYTES were there to be read."""


class _Limited(RawIOBase):
    """The first _MAX_BYTES of a stream. Reading more raises _TooLongError."""

    def __init__(self, raw: RawIOBase) -> None:
        self._raw = raw
        self._left = _MAX_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self._left:
            raise _TooLongError
        count: int | None = self._raw.readinto(memoryview(buffer)[: self._left])
        self._left -= count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """The final answer, of which a limited number of bytes is read. The library limits neither the number of interim
    answers nor that of a body's trailers, and takes an interim answer other than 100 for the final one.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fp = BufferedReader(_Limited(self.fp.detach()))

    def begin(self) -> None:
        super().begin()
        # 101 is final: what follows is another protocol.
        while self.status < 200 and self.status != 101:
            self.headers = None  # type: ignore[assignment]
            super().begin()


def _seconds(retry_after: str | None) -> float | None:
    """The seconds from now that a Retry-After header names, as a number or as a date; 0 for a date that is past."""
    text = (retry_after or "").strip()
    if _DELAY.fullmatch(text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
