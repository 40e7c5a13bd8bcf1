"""No receiver is waited for longer than an attempt may take."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from atrium.outbound import parsed
from tests.support.clock import NET
from tests.support.outbound import (
    CHUNKED,
    LONG,
    PUBLIC,
    Network,
    ask,
    local,
    no_thread_left,
    serving,
    some,
    without_end,
)


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
