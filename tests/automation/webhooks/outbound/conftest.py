"""The network of a test, and how long an answer may take in it."""

import socket

import pytest

from atrium import outbound
from tests.support.clock import NET
from tests.support.outbound import Network


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
