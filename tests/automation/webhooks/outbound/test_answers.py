"""The request that is sent, and what is made of every answer to it, however malicious."""

import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from atrium.outbound import Answer, parsed, post
from tests.support.clock import NET
from tests.support.outbound import CHUNKED, LONG, OK, Network, answer_to, ask, local, saying, serving, without_end


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
