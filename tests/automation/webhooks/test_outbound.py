"""A request to a URL that a stranger chose reaches that stranger's server, and nothing inside Atrium's network.

The resolver and the connections of TCP are the tests' own: names have the addresses that a test gives them, and a
connection to any address leads to a server of the test, or is refused. Both are recorded.
"""

import _socket
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from atrium import outbound
from atrium.outbound import Answer, NotSent, UnfitUrl, Url, parsed, post
from tests.support.clock import NET

# An address that anyone may be sent to; no packet ever is.
PUBLIC = "93.184.216.34"

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


# ---------------------------------------------------------------- the network


class Network:
    """`names` has the addresses of each name, a list for each look-up that is expected; the last one stays. `servers`
    has the port on this machine that an address and port lead to. Look-ups and connections are recorded.
    """

    def __init__(self) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.servers: dict[tuple[str, int], int] = {}
        self.looked_up: list[str] = []
        self.connections: list[tuple[str, int]] = []
        # Addresses that answer nothing, until the event.
        self.silent: dict[str, threading.Event] = {}

    def getaddrinfo(self, host: str, port: object, *_: Any, **__: Any) -> list[Any]:
        self.looked_up.append(host)
        try:
            addresses = [str(ip_address(host))]
        except ValueError:
            answers = self.names.get(host, [[]])
            addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (each, 0, 0, 0))
            if ":" in each
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0))
            for each in addresses
        ]

    def connect(self, connecting: socket.socket, address: tuple[str, int]) -> None:
        self.connections.append(address)
        if address[0] in self.silent:
            self.silent[address[0]].wait(NET)
            raise TimeoutError
        if address not in self.servers:
            raise ConnectionRefusedError
        _socket.socket.connect(connecting, ("127.0.0.1", self.servers[address]))


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    made = Network()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", lambda connecting, address: made.connect(connecting, address))
    return made


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is late because the machine is slow."""
    monkeypatch.setattr(outbound, "SECONDS", float(NET))


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "SECONDS", 0.3)


class Serving(NamedTuple):
    """A server: `requests` are what it was sent; `ended` is set when one of its connections is over."""

    port: int
    requests: list[bytes]
    ended: threading.Event


@contextmanager
def serving(
    act: Callable[[socket.socket], object],
    context: ssl.SSLContext | None = None,
    reading: Callable[[socket.socket], bytes] | None = None,
) -> Iterator[Serving]:
    """A server on this machine that reads each request, whole if not said how, and then does `act` with the
    connection.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    served = Serving(listener.getsockname()[1], [], threading.Event())

    def serve(connection: socket.socket) -> None:
        try:
            with connection:
                connection.settimeout(NET)
                with context.wrap_socket(connection, server_side=True) if context else connection as spoken:
                    served.requests.append((reading or whole_request)(spoken))
                    act(spoken)
        except OSError:
            pass
        finally:
            served.ended.set()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield served
    finally:
        # A thread that waits for a connection would keep the listener open.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def whole_request(connection: socket.socket) -> bytes:
    read = b""
    while b"\r\n\r\n" not in read:
        read += some(connection)
    head, _, body = read.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += some(connection)
    return head + b"\r\n\r\n" + body


def some(connection: socket.socket) -> bytes:
    if not (piece := connection.recv(65536)):
        raise ConnectionResetError
    return piece


def saying(answer: bytes) -> Callable[[socket.socket], object]:
    return lambda connection: connection.sendall(answer)


def without_end(first: bytes, then: bytes, every: float = 0.0) -> Callable[[socket.socket], object]:
    """Sends the first bytes, and then the others again and again until the connection is gone."""

    def act(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(then)
            time.sleep(every)

    return act


def local(served: Serving, target: str = "/hook") -> Url:
    return parsed(f"http://127.0.0.1:{served.port}{target}", loopback=True)


def ask(url: Url, *, loopback: bool = True) -> Answer | str:
    """The answer, or the reason that there is none."""
    try:
        return post(url, {"webhook-id": "e1"}, b"{}", loopback=loopback)
    except NotSent as error:
        return error.reason


def answer_to(act: Callable[[socket.socket], object]) -> Answer | str:
    with serving(act) as served:
        return ask(local(served))


@contextmanager
def no_thread_left() -> Iterator[None]:
    """At its end, all threads that were started inside have ended."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(NET)
        assert not thread.is_alive()


# ---------------------------------------------------------------- what is refused

CHARACTERS = (
    "Write the URL in visible ASCII characters: percent-encode others, and write a host's name in its xn-- form"
)
ENCODE = 'Percent-encode each of " < > \\ ^ ` { | } in the URL'
SCHEME = "Must be a URL that begins with https://"
CREDENTIALS = "Take the user name and the password out of the URL"
PORT = "The port must be 443 or 8443"
QUAD = "Write the host's address as four decimal numbers, such as 203.0.113.7, or use its name"
NOT_PUBLIC = "The host's address must be public"
HOST = "The host must be a name of letters, digits, hyphens and single dots, or an IPv4 address"
DOMAIN = "The host's name must have a domain, such as example.com"

SPELLED = {
    SCHEME: (
        *("", "/", "hook", "//a.example/", "http://a.example/", "HTTP://a.example:443/", "ftp://a.example/"),
        *("file:///etc/passwd", "gopher://a.example/", "data:text/plain,x", "javascript:alert(1)", "unix://a.example/"),
        *("https:a.example", "https:/a.example", "http://127.0.0.1/", "http://localhost/", "ws://a.example/"),
        *("https+unix://a.example/", "jar:https://a.example!/", "a.example/hook", "//127.0.0.1/"),
    ),
    CHARACTERS: (
        *("https://１２７.0.0.1/", "https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/", "https://127．0．0．1/"),
        *("https://ⓔⓧⓐⓜⓟⓛⓔ.com/", "https://locaⅼhost/", "https://faß.example/", "https://ｌocalhost/"),
        *("https://a.example/\n", "\nhttps://a.example/", "https://a.exa\tmple/", "https://a.example/ hook"),
        *("https://a.example\r\nHost: b/", "https://a.example/\x00", "https://a.example/\x7f", "https://a.example/\x1b"),
        *("https://a.example/\u2028", "https://a\u200b.example/", "https://a.example/\ud800", " https://a.example/"),
        *("https://a.example/hook HTTP/1.1\r\nX: y", "https://127.0.0.1%\u2044.a.example/"),
    ),
    ENCODE: (
        *("https://a.example\\@127.0.0.1/", "https:\\\\127.0.0.1/", "https://a.example\\.127.0.0.1/"),
        *("https://a.example/\\..", "https://a.example/<x>", "https://a.example/{x}", "https://{host}.example/"),
    ),
    CREDENTIALS: (
        *("https://user@a.example/", "https://user:password@a.example/", "https://a.example@127.0.0.1/"),
        *("https://@127.0.0.1/", "https://a.example:443@127.0.0.1/", "https://:@a.example/", "https://a@b@a.example/"),
        *("https://a.example:443%40@127.0.0.1/", "https://127.0.0.1:80;@a.example/"),
    ),
    PORT: (
        *("https://a.example:80/", "https://a.example:22/", "https://a.example:6379/", "https://a.example:9001/"),
        *("https://a.example:0/", "https://a.example:65979/", "https://a.example:0443/", "https://a.example:/"),
        *("https://a.example:+443/", "https://a.example:-443/", "https://a.example:443:443/", "https://a.example:4_43/"),
        *("https://a.example:443.0/", "https://a.example:0x1bb/", "https://a.example:443a/", "https://a.example:9999999/"),
        *(f"https://{PUBLIC}:80/", "https://a.example:%34%34%33/"),
    ),
    QUAD: (
        *("https://0177.0.0.1/", "https://127.0.0.01/", "https://0x7f.0.0.1/", "https://0x7f000001/"),
        *("https://2130706433/", "https://017700000001/", "https://127.1/", "https://127.0.1/", "https://0/"),
        *("https://1/", "https://10.1/", "https://0xa9fea9fe/", "https://2852039166/", "https://0251.0376.0251.0376/"),
        *("https://169.254.43518/", "https://127.0.0.1.1/", "https://127.0.0.256/", "https://0X7F.1/"),
        *("https://a.example.0x7f/", "https://a.1/", "https://127.0..1/", "https://256.256.256.256/", "https://0x/"),
        *("https://00000000177.0.0.1/", "https://4294967296/", "https://-127.0.0.1/"),
        *("https://a.example;127.0.0.1/", "https://%31%32%37.0.0.1/", "https://a_b.0.0.1/"),
    ),
    NOT_PUBLIC: (
        *("https://127.0.0.1/", "https://127.255.255.254/", "https://0.0.0.0/", "https://10.0.0.1/", "https://172.16.0.1/"),
        *("https://172.31.255.255/", "https://192.168.0.1/", "https://169.254.169.254/latest/meta-data/"),
        *("https://169.254.170.2/v2/credentials/", "https://100.64.0.1/", "https://100.127.255.254/", "https://192.0.0.1/"),
        *("https://192.0.2.1/", "https://198.18.0.1/", "https://198.51.100.1/", "https://203.0.113.1/"),
        *("https://224.0.0.1/", "https://224.0.1.1/", "https://239.255.255.255/", "https://240.0.0.1/"),
        *("https://255.255.255.255/", "https://127.0.0.1:8443/", "https://169.254.169.254:443/"),
    ),
    HOST: (
        *("https:///", "https://./", "https://.a.example/", "https://a..example/", "https://a.example./"),
        *("https://127.0.0.1./", "https://localhost./", "https://169.254.169.254./", "https://-a.example/"),
        *("https://a-.example/", "https://a_b.example/", "https://a%2eexample/", "https://127%2e0%2e0%2e1/"),
        *("https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[64:ff9b::7f00:1]/"),
        *("https://[fd00:ec2::254]/", "https://[fe80::1%25eth0]/", "https://[::]/", "https://[127.0.0.1]/"),
        *("https://a.example,b.example/", "https://*.example/", "https://a!b.example/"),
        *(f"https://{'a' * 64}.example/", f"https://{'a.' * 126}aa.example/", "https://?x=1", "https://#", "https://a.example%00/"),
        *("https://[::1", "https://::1/", "https://'127.0.0.1'/", "https://$(id).example/"),
    ),
    DOMAIN: ("https://localhost/", "https://LOCALHOST/", "https://metadata/", "https://intranet:8443/", "https://a/"),
}  # fmt: skip


@pytest.mark.parametrize(("url", "message"), [(url, message) for message, urls in SPELLED.items() for url in urls])
def test_unfit_url_is_refused_before_anything_is_looked_up(network: Network, url: str, message: str) -> None:
    with pytest.raises(UnfitUrl) as refused:
        ask(parsed(url, loopback=False), loopback=False)
    assert (refused.value.message, network.looked_up, network.connections) == (message, [], [])


@pytest.mark.parametrize("port", ["0", "65536", "99999", "100000", "08080", "", "http", "-1"])
def test_wrong_port_of_this_machine_is_refused_with_the_ports_that_a_laptop_takes(port: str) -> None:
    with pytest.raises(UnfitUrl) as refused:
        parsed(f"http://localhost:{port}/", loopback=True)
    assert refused.value.message == "The port must be a number from 1 to 65535"


UNFIT = (
    *("127.0.0.1", "127.8.9.10", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255"),
    *("192.168.1.1", "169.254.0.1", "169.254.169.254", "169.254.170.2", "169.254.100.1", "100.64.0.1"),
    *("100.100.100.200", "100.127.255.255", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.1"),
    *("203.0.113.1", "224.0.0.1", "224.0.1.1", "232.1.1.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1", "::ffff:127.0.0.1"),
    *("::ffff:169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"),
    *("2002:7f00:1::1", "2002:a9fe:a9fe::1", "2001::1", "2001:db8::1", "100::1", "::127.0.0.1"),
)


@pytest.mark.parametrize("beside", [[], [PUBLIC]], ids=["alone", "beside_a_public_one"])
@pytest.mark.parametrize("address", UNFIT)
def test_name_with_an_address_that_is_not_public_is_refused(network: Network, address: str, beside: list[str]) -> None:
    for addresses in ([address, *beside], [*beside, address]):
        network.names = {"a.example": [addresses, [PUBLIC]]}
        assert ask(parsed("https://a.example/", loopback=False), loopback=False) == "address_refused"
    assert (network.looked_up, network.connections) == (["a.example"] * 2, [])


def test_name_with_addresses_of_ipv6_only_is_refused(network: Network) -> None:
    network.names = {"a.example": [["2606:2800:220:1:248:1893:25c8:1946"]]}
    assert ask(parsed("https://a.example/", loopback=False), loopback=False) == "address_refused"
    assert network.connections == []


@pytest.mark.parametrize(
    "host", ["localhost.example", "127.0.0.1.nip.example", "xn--exmple-cua.example", "foo.localhost"]
)
def test_unknown_name_is_name_unknown(network: Network, host: str) -> None:
    assert ask(parsed(f"https://{host}/", loopback=False), loopback=False) == "name_unknown"
    assert (network.looked_up, network.connections) == ([host], [])


@pytest.mark.parametrize(
    "text",
    [
        *(
            "http://a.example:443/",
            f"http://{PUBLIC}:8443/",
            "http://a.example/",
            "http://10.0.0.1/",
            "https://10.0.0.1/",
            "https://169.254.169.254/",
            "https://intranet/",
        ),
        *("https://a.example:3000/", "http://128.0.0.1/", "http://0.0.0.0/", "http://[::1]/", "http://127.1/"),
        *("http://user@127.0.0.1/", "http://127.0.0.1:0/", "http://127.0.0.1:65536/", "ftp://127.0.0.1/"),
        *("http://localhost.example/", "http://0177.0.0.1/", "http://localhost./", "http://2130706433/"),
    ],
)
def test_loopback_allows_nothing_but_this_machine(network: Network, text: str) -> None:
    with pytest.raises(UnfitUrl):
        parsed(text, loopback=True)
    assert network.connections == []


@pytest.mark.parametrize("address", [each for each in UNFIT if "127." not in each and each != "::1"])
def test_loopback_allows_no_other_address_of_a_name(network: Network, address: str) -> None:
    network.names = {"a.example": [["127.0.0.1", address]]}
    assert ask(parsed("https://a.example/", loopback=True)) == "address_refused"
    assert network.connections == []


# ---------------------------------------------------------------- what is taken


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        ("https://a.example", ("https", "a.example", 443, "/"), "https://a.example/"),
        ("HTTPS://A.Example:443/Hook", ("https", "a.example", 443, "/Hook"), "https://a.example/Hook"),
        ("https://a.example:8443/a?b=c#d?e", ("https", "a.example", 8443, "/a?b=c"), "https://a.example:8443/a?b=c"),
        ("https://a.example?b=c", ("https", "a.example", 443, "/?b=c"), "https://a.example/?b=c"),
        ("https://a.example#@127.0.0.1/", ("https", "a.example", 443, "/"), "https://a.example/"),
        ("https://a.example/@b:1//c%00?[d]", ("https", "a.example", 443, "/@b:1//c%00?[d]"), "https://a.example/@b:1//c%00?[d]"),
        ("https://xn--bcher-kva.example/", ("https", "xn--bcher-kva.example", 443, "/"), "https://xn--bcher-kva.example/"),
        (f"https://{PUBLIC}/", ("https", PUBLIC, 443, "/"), f"https://{PUBLIC}/"),
    ],
)  # fmt: skip
def test_fit_url_is_parsed_into_its_parts(text: str, url: tuple[str, str, int, str], shown: str) -> None:
    found = parsed(text, loopback=False)
    assert (found, found.text) == (Url(*url), shown)
    assert parsed(found.text, loopback=False) == found


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        ("http://localhost:3000/a", ("http", "localhost", 3000, "/a"), "http://localhost:3000/a"),
        ("http://127.0.0.1", ("http", "127.0.0.1", 80, "/"), "http://127.0.0.1/"),
        ("https://127.9.9.9:65535/", ("https", "127.9.9.9", 65535, "/"), "https://127.9.9.9:65535/"),
        ("http://LocalHost:443/", ("http", "localhost", 443, "/"), "http://localhost:443/"),
        ("https://a.example/", ("https", "a.example", 443, "/"), "https://a.example/"),
    ],
)
def test_loopback_allows_any_port_of_this_machine(text: str, url: tuple[str, str, int, str], shown: str) -> None:
    found = parsed(text, loopback=True)
    assert (found, found.text) == (Url(*url), shown)


def test_request_is_sent_whole_and_says_nothing_else() -> None:
    with serving(saying(OK)) as served:
        assert ask(local(served, "/hook?x=%2F#f")) == Answer(200, None)
    (sent,) = served.requests
    assert sent == (
        b"POST /hook?x=%%2F HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept-Encoding: identity\r\nContent-Length: 2\r\n"
        b"User-Agent: atrium\r\nConnection: close\r\nwebhook-id: e1\r\n\r\n{}" % served.port
    )


def test_localhost_is_looked_up_and_used_on_a_laptop(network: Network) -> None:
    network.names = {"localhost": [["::1", "127.0.0.1"]]}
    with serving(saying(OK)) as served:
        network.servers = {("127.0.0.1", 3000): served.port}
        assert ask(parsed("http://localhost:3000/", loopback=True)) == Answer(200, None)
    assert network.connections == [("127.0.0.1", 3000)]


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 404, 410, 429, 500, 503, 999])
def test_answer_of_any_status_is_an_answer(status: int) -> None:
    assert answer_to(saying(b"HTTP/1.1 %d So\r\nContent-Length: 0\r\n\r\n" % status)) == Answer(status, None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    ["http://169.254.169.254/latest/", "http://127.0.0.1:9001/", "//10.0.0.1/", "/else", "https://a.example/"],
)
def test_redirect_is_an_answer_and_is_not_followed(network: Network, status: int, location: str) -> None:
    with serving(
        saying(b"HTTP/1.1 %d So\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, location.encode()))
    ) as one:
        network.servers = {("127.0.0.1", one.port): one.port}
        assert ask(local(one)) == Answer(status, None)
    assert network.connections == [("127.0.0.1", one.port)]
    assert len(one.requests) == 1


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        *(("0", 0.0), ("120", 120.0), (" 5 ", 5.0), ("999999999", 999999999.0)),
        *((said, None) for said in ("", "-1", "1.5", "soon", "9999999999", "9" * 5000, "١٢", "1e3", "0x10", "inf")),
        *((said, None) for said in ("Mon, 99 Foo 2020 00:00:00 GMT", "Sun, 06 Nov 99999 08:49:37 GMT", "120, 240")),
        *((said, None) for said in ("Sun, 06 Nov 2044 08:49:37 +99999999", ",", "::")),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
    ],
)  # fmt: skip
def test_retry_after_is_taken_if_it_makes_sense(said: str, seconds: float | None) -> None:
    answer = b"HTTP/1.1 503 So\r\nContent-Length: 0\r\nRetry-After: " + said.encode() + b"\r\n\r\n"
    assert answer_to(saying(answer)) == Answer(503, seconds)


@pytest.fixture
def far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_retry_after_as_a_date_is_the_seconds_until_then(zone: str, far_from_greenwich: None) -> None:
    then = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
    date = format_datetime(then, usegmt=True).replace("GMT", zone).encode()
    before = time.time()
    answer = answer_to(saying(b"HTTP/1.1 429 So\r\nContent-Length: 0\r\nRetry-After: " + date + b"\r\n\r\n"))
    assert isinstance(answer, Answer)
    assert answer.status == 429
    assert answer.retry_after is not None
    assert then.timestamp() - time.time() <= answer.retry_after <= then.timestamp() - before


# ---------------------------------------------------------------- answers that are meant to hurt


LONG = b"HTTP/1.1 200 OK\r\nContent-Length: "
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(without_end(LONG + b"70000000\r\n\r\n", b"x" * 9999), id="long_body"),
        pytest.param(without_end(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 9999), id="body_of_no_length"),
        pytest.param(without_end(LONG + b"9" * 5000 + b"\r\n\r\n", b"x" * 999), id="huge_length"),
        pytest.param(without_end(CHUNKED, b"5\r\nhello\r\n"), id="chunks_without_end"),
        pytest.param(without_end(CHUNKED + b"FFFFFFFFFFFFFFFF\r\n", b"x" * 9999), id="huge_chunk"),
        pytest.param(without_end(CHUNKED + b"-1\r\n", b"x" * 9999), id="chunk_of_a_negative_size"),
        pytest.param(without_end(CHUNKED + b"5;x=", b"x" * 9999), id="chunk_extension_without_end"),
        pytest.param(without_end(CHUNKED + b"0\r\n", b"X: y\r\n"), id="trailers_without_end"),
    ],
)  # fmt: skip
def test_body_without_end_is_cut_off_and_the_status_counts(act: Callable[[socket.socket], object]) -> None:
    with serving(act) as served:
        assert ask(local(served)) == Answer(200, None)
        # The server would send for ever.
        assert served.ended.wait(NET)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9, 7\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: -9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n: nor this\r\n\r\n",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"-5\r\nhello\r\n",
        CHUNKED + b"5\r\nhel",
    ],
)
def test_body_that_is_malformed_or_cut_short_does_not_change_the_status(said: bytes) -> None:
    assert answer_to(saying(said)) == Answer(200, None)


@pytest.mark.parametrize(
    "said",
    [
        *(b"", b"\r\n", b"hello", b"\x16\x03\x01\x00\x05hello", b"HTTP/1.1", b"HTTP/1.1 abc So\r\n\r\n"),
        *(b"HTTP/1.1 20\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/1.1 -200 OK\r\n\r\n", b"HTTP/2.0 200 OK\r\n\r\n"),
        *(b"SSH-2.0-OpenSSH_9.6\r\n", b"+OK redis\r\n", b"\x00" * 4096, b"HTTP/1.1 100 Continue\r\n\r\n"),
        *(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b"ICY 200 OK\r\n\r\n"),
    ],
)
def test_answer_that_is_not_http_is_no_http(said: bytes) -> None:
    assert answer_to(saying(said)) == "no_http"


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(without_end(b"", b"x" * 9999), id="status_line"),
        pytest.param(without_end(b"HTTP/1.1 200 ", b"x" * 9999), id="reason"),
        pytest.param(without_end(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), id="headers"),
        pytest.param(without_end(b"HTTP/1.1 200 OK\r\nX-A: ", b"x" * 9999), id="one_header"),
        pytest.param(without_end(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"x" * 9999 + b"\r\n"), id="long_headers"),
        pytest.param(without_end(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="interim_answers"),
        pytest.param(without_end(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), id="early_hints"),
    ],
)
def test_head_without_end_is_cut_off_as_no_http(act: Callable[[socket.socket], object]) -> None:
    with serving(act) as served:
        assert ask(local(served)) == "no_http"
        assert served.ended.wait(NET)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + OK, 200),
        (b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, 200),
        (b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nRetry-After: 7\r\n\r\n" + OK, 200),
        (b"HTTP/1.1 103 So\r\n\r\nHTTP/1.1 100 So\r\n\r\nHTTP/1.1 500 So\r\nContent-Length: 0\r\n\r\n", 500),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + OK, 101),
    ],
)
def test_interim_answer_is_not_the_answer(said: bytes, status: int) -> None:
    assert answer_to(saying(said)) == Answer(status, None)


def test_answer_before_the_body_was_read_is_the_answer() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 413 So\r\nContent-Length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)

    # More than the buffers of both sides take.
    with serving(refuse, reading=lambda connection: connection.recv(64)) as served:
        assert post(local(served), {}, bytes(64 * 1024 * 1024), loopback=True) == Answer(413, None)


def test_reset_connection_is_no_http() -> None:
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert answer_to(reset) == "no_http"


def test_random_answer_is_an_answer_or_no_http() -> None:
    chance = random.Random(13)
    words = [
        b"HTTP/1.1 ",
        b"200",
        b" OK",
        b"\r\n",
        b"\n",
        b"\r",
        b"Content-Length: ",
        b"Transfer-Encoding: chunked",
        b"5",
    ]
    words += [
        b"-1",
        b"\x00",
        b"\xff",
        b": ",
        b"Retry-After: ",
        b"103",
        b"100",
        b";",
        b" ",
        b"\t",
        b"0\r\n",
        b"\r\n\r\n",
    ]
    words += [b"Content-Encoding: gzip", b"Connection: keep-alive", b"=?utf-8?q?=00?=", b"HTTP/1.0 "]
    starts = [b"", b"HTTP/1.1 200 OK\r\n", CHUNKED]
    said = [chance.choice(starts) + b"".join(chance.choices(words, k=chance.randrange(12))) for _ in range(300)]
    with serving(lambda connection: connection.sendall(said[-1])) as served:
        while said:
            answer = ask(local(served))
            assert answer == "no_http" or isinstance(answer, Answer), said[-1]
            said.pop()


def test_malformed_answer_leaves_no_url_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with serving(saying(b"HTTP/1.1 200 OK\r\nno header\r\n\r\n")) as served:
        assert ask(local(served, "/token")) == Answer(200, None)
    assert caplog.text == ""


# ---------------------------------------------------------------- the deadline


def hang(connection: socket.socket) -> None:
    some(connection)


def promise(connection: socket.socket) -> None:
    connection.sendall(LONG + b"9\r\n\r\n")
    hang(connection)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    "act",
    [
        pytest.param(hang, id="silence"),
        pytest.param(without_end(b"", b"H", 0.02), id="status_line"),
        pytest.param(without_end(b"HTTP/1.1 200 OK\r\n", b"X", 0.02), id="header"),
        pytest.param(without_end(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"x", 0.02), id="body"),
        pytest.param(without_end(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.02), id="body_of_no_length"),
        pytest.param(without_end(CHUNKED, b"1\r\nx\r\n", 0.02), id="chunks"),
        pytest.param(without_end(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.02), id="interim_answers"),
        pytest.param(promise, id="no_body"),
    ],
)
def test_slow_answer_is_cut_at_the_deadline(act: Callable[[socket.socket], object]) -> None:
    with serving(act) as served, no_thread_left():
        assert ask(local(served)) == "timed_out"
        assert served.ended.wait(NET)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("every", [None, 0.02], ids=["silence", "trickle"])
def test_slow_tls_handshake_is_cut_at_the_deadline(every: float | None) -> None:
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError), listener.accept()[0] as connection:
            connection.settimeout(NET)
            if every is None:
                while connection.recv(65536):
                    pass
            else:
                # A record of a handshake that says it has 16 KB.
                without_end(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"x", every)(connection)
        ended.set()

    with listener:
        threading.Thread(target=serve, daemon=True).start()
        url = parsed(f"https://127.0.0.1:{listener.getsockname()[1]}/", loopback=True)
        with no_thread_left():
            assert ask(url) == "timed_out"
            assert ended.wait(NET)


@pytest.mark.usefixtures("hurried")
def test_resolver_that_hangs_is_not_waited_for_and_no_connection_follows(network: Network) -> None:
    released = threading.Event()
    found = network.getaddrinfo
    network.names = {"a.example": [[PUBLIC]]}

    def getaddrinfo(*args: Any, **more: Any) -> list[Any]:
        released.wait(NET)
        return found(*args, **more)

    with pytest.MonkeyPatch.context() as patch, no_thread_left():
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        assert ask(parsed("https://a.example/", loopback=False), loopback=False) == "timed_out"
        released.set()
    assert (network.looked_up, network.connections) == (["a.example"], [])


@pytest.mark.usefixtures("hurried")
def test_address_that_does_not_answer_is_timed_out_and_no_other_is_tried_afterwards(network: Network) -> None:
    network.names, network.silent = {"a.example": [["93.184.216.33", PUBLIC]]}, {"93.184.216.33": threading.Event()}
    with no_thread_left():
        assert ask(parsed("https://a.example/", loopback=False), loopback=False) == "timed_out"
        network.silent["93.184.216.33"].set()
    assert network.connections == [("93.184.216.33", 443)]


# ---------------------------------------------------------------- names, addresses and certificates


class Authority:
    """A throwaway certificate authority, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A test's authority")])
        self.file = folder / "authority.pem"
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        made = self._signed(self._name, self._key, timedelta(days=2), x509.BasicConstraints(True, None), usage)
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def server(self, *names: str, lasts: timedelta = timedelta(days=1)) -> ssl.SSLContext:
        """The context of a server with a certificate for these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        listed = [x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        made = self._signed(
            subject, key, lasts, x509.SubjectAlternativeName(listed), x509.BasicConstraints(False, None)
        )
        file = self._folder / "server.pem"
        private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        file.write_bytes(key.private_bytes(*private) + made.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, lasts: timedelta, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number())
        made = made.not_valid_before(now - timedelta(days=30)).not_valid_after(now + lasts)
        signer = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        # Python 3.13 takes no certificate without these.
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        made = made.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), critical=False
        )
        for extension in extensions:
            made = made.add_extension(extension, critical=not isinstance(extension, x509.SubjectAlternativeName))
        return made.sign(self._key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    """An authority that takes the place of the public ones."""
    monkeypatch.setattr(outbound, "DEFAULT_CA_BUNDLE", str(authority.file))
    outbound._trust.cache_clear()
    yield authority
    outbound._trust.cache_clear()


@contextmanager
def on(
    network: Network,
    names: Mapping[str, Sequence[str]],
    address: tuple[str, int],
    context: ssl.SSLContext,
    act: Callable[[socket.socket], object] | None = None,
) -> Iterator[Serving]:
    """A server under TLS at an address."""
    with serving(act or saying(OK), context) as served:
        network.names |= {name: [list(addresses)] for name, addresses in names.items()}
        network.servers[address] = served.port
        yield served


@pytest.mark.parametrize("port", [443, 8443])
def test_name_is_asked_over_tls_of_its_own_at_the_judged_address(
    network: Network, trusted: Authority, port: int
) -> None:
    context, told = trusted.server("a.example"), []
    context.sni_callback = lambda _, name, __: told.append(name)
    with on(network, {"a.example": [PUBLIC]}, (PUBLIC, port), context) as served:
        url = parsed(f"https://a.example:{port}/hook", loopback=False)
        assert ask(url, loopback=False) == Answer(200, None)
    assert (network.looked_up, network.connections, told) == (["a.example"], [(PUBLIC, port)], ["a.example"])
    host = b"a.example" if port == 443 else b"a.example:8443"
    assert served.requests[0].startswith(b"POST /hook HTTP/1.1\r\nHost: " + host + b"\r\n")


def test_name_that_changes_its_address_after_the_look_up_changes_nothing(network: Network, trusted: Authority) -> None:
    with on(network, {}, (PUBLIC, 443), trusted.server("a.example")), ExitStack() as inside:
        network.names = {"a.example": [[PUBLIC], ["127.0.0.1"]]}
        secret = inside.enter_context(serving(saying(OK)))
        network.servers["127.0.0.1", 443] = secret.port
        url = parsed("https://a.example/", loopback=False)
        assert ask(url, loopback=False) == Answer(200, None)
        assert (network.looked_up, network.connections) == (["a.example"], [(PUBLIC, 443)])
        # The next request looks the name up anew, and judges what it finds.
        assert ask(url, loopback=False) == "address_refused"
    assert (network.connections, secret.requests) == ([(PUBLIC, 443)], [])


def test_address_of_ipv6_is_judged_and_not_used(network: Network, trusted: Authority) -> None:
    names = {"a.example": ["2606:2800:220:1:248:1893:25c8:1946", PUBLIC]}
    with on(network, names, (PUBLIC, 443), trusted.server("a.example")):
        assert ask(parsed("https://a.example/", loopback=False), loopback=False) == Answer(200, None)
    assert network.connections == [(PUBLIC, 443)]


def test_certificate_of_an_address_is_taken_for_the_address(network: Network, trusted: Authority) -> None:
    with on(network, {}, (PUBLIC, 443), trusted.server(PUBLIC)):
        assert ask(parsed(f"https://{PUBLIC}/", loopback=False), loopback=False) == Answer(200, None)


@pytest.mark.parametrize("names", [["b.example"], ["example"], ["*.a.example"], [PUBLIC], ["*.example.a.example"]])
def test_certificate_of_another_name_is_tls_failed(network: Network, trusted: Authority, names: list[str]) -> None:
    with on(network, {"a.example": [PUBLIC]}, (PUBLIC, 443), trusted.server(*names)) as served:
        assert ask(parsed("https://a.example/", loopback=False), loopback=False) == "tls_failed"
    assert served.requests == []


def test_certificate_that_is_over_is_tls_failed(network: Network, trusted: Authority) -> None:
    context = trusted.server("a.example", lasts=timedelta(days=-1))
    with on(network, {"a.example": [PUBLIC]}, (PUBLIC, 443), context) as served:
        assert ask(parsed("https://a.example/", loopback=False), loopback=False) == "tls_failed"
    assert served.requests == []


def test_certificate_of_an_authority_that_only_the_environment_names_is_tls_failed(
    network: Network, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(authority.file))
    with on(network, {"a.example": [PUBLIC]}, (PUBLIC, 443), authority.server("a.example")) as served:
        assert ask(parsed("https://a.example/", loopback=False), loopback=False) == "tls_failed"
    assert served.requests == []


def test_roots_are_all_public_ones() -> None:
    roots: Any = outbound._trust().get_ca_certs()
    names = {dict(part[0] for part in root["subject"]).get("commonName") for root in roots}
    assert {"ISRG Root X1", "DigiCert Global Root G2", "USERTrust RSA Certification Authority"} <= names


def test_server_that_wants_a_certificate_of_its_client_is_tls_failed(network: Network, trusted: Authority) -> None:
    """With TLS 1.3 the client learns that only when it reads the answer."""
    context = trusted.server("a.example")
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED

    def refuse() -> None:
        with suppress(OSError), listener.accept()[0] as connection, connection.dup() as below:
            with suppress(ssl.SSLError):
                context.wrap_socket(connection, server_side=True)
            # Closing with a request unread would reset the connection before the refusal is read.
            while below.recv(65536):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=refuse, daemon=True).start()
        network.names, network.servers = {"a.example": [[PUBLIC]]}, {(PUBLIC, 443): listener.getsockname()[1]}
        assert ask(parsed("https://a.example/", loopback=False), loopback=False) == "tls_failed"


def test_slow_answer_over_tls_is_cut_at_the_deadline(
    network: Network, trusted: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbound._trust()
    trickle = without_end(b"HTTP/1.1 200 OK\r\n", b"X", 0.02)
    begun = threading.Event()

    def act(connection: socket.socket) -> None:
        begun.set()
        trickle(connection)

    with on(network, {"a.example": [PUBLIC]}, (PUBLIC, 443), trusted.server("a.example"), act) as served:
        url = parsed("https://a.example/", loopback=False)
        # As long as it takes until the answer has begun when the deadline comes.
        for seconds in (0.3, 3.0, 30.0):
            monkeypatch.setattr(outbound, "SECONDS", seconds)
            with no_thread_left():
                assert ask(url, loopback=False) == "timed_out"
            if begun.is_set():
                break
        assert served.ended.wait(NET)


def test_server_without_tls_is_tls_failed(network: Network) -> None:
    def answer() -> None:
        with suppress(OSError), listener.accept()[0] as connection:
            some(connection)
            connection.sendall(OK)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, daemon=True).start()
        network.names, network.servers = {"a.example": [[PUBLIC]]}, {(PUBLIC, 443): listener.getsockname()[1]}
        assert ask(parsed("https://a.example/", loopback=False), loopback=False) == "tls_failed"


def test_proxy_of_the_environment_is_not_used(
    network: Network, trusted: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:3128")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:3128")
    with on(network, {"a.example": [PUBLIC]}, (PUBLIC, 443), trusted.server("a.example")):
        assert ask(parsed("https://a.example/", loopback=False), loopback=False) == Answer(200, None)
    assert network.connections == [(PUBLIC, 443)]


def test_second_address_is_tried_if_the_first_takes_no_connection(network: Network, trusted: Authority) -> None:
    with on(network, {"a.example": ["93.184.216.33", PUBLIC]}, (PUBLIC, 443), trusted.server("a.example")):
        assert ask(parsed("https://a.example/", loopback=False), loopback=False) == Answer(200, None)
    assert network.connections == [("93.184.216.33", 443), (PUBLIC, 443)]


def test_name_with_many_addresses_makes_no_flood_of_connections(network: Network) -> None:
    network.names = {"a.example": [[f"93.184.216.{last}" for last in range(1, 255)]]}
    assert ask(parsed("https://a.example/", loopback=False), loopback=False) == "no_connection"
    assert network.connections == [(f"93.184.216.{last}", 443) for last in (1, 2, 3)]
