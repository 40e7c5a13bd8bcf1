"""A world behind a socket, and the command line of a user who has it as a laptop's instance."""

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from atrium import telemetry
from atrium_cli.client import Client
from tests.support.client import World
from tests.support.command import Atrium, Between, between


@pytest.fixture
def api(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Between]:
    # The functions share a process with the command line, whose outputs have no lines of their log.
    monkeypatch.setattr(telemetry, "sys", SimpleNamespace(stdout=io.StringIO()))
    with between(world) as made:
        yield made


@pytest.fixture
def atrium(world: World, api: Between, tmp_path: Path) -> Atrium:
    made = Atrium(tmp_path)
    made.serves(world, api.url)
    return made


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Those that the command line makes, which take no time here."""
    made: list[float] = []
    monkeypatch.setattr(Client, "pause", staticmethod(made.append))
    return made
