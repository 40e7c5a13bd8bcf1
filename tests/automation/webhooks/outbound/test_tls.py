"""Names, addresses and certificates: only the server that was meant gets the request."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from atrium import outbound
from atrium.outbound import Answer, parsed
from tests.support.clock import NET
from tests.support.outbound import OK, PUBLIC, Network, Serving, ask, no_thread_left, saying, serving, some, without_end


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
