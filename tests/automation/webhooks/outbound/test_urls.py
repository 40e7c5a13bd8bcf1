"""Which URLs are taken, and which are refused before a connection is made."""

import pytest

from atrium.outbound import UnfitUrl, Url, parsed
from tests.support.outbound import PUBLIC, Network, ask

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
