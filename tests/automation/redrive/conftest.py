"""Fixtures of the function that sends dead letters again."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from atrium.store import redrive as resending
from atrium.store.engine.table import table
from atrium.store.letters import dead_letters
from local.letters import Letters
from local.template import Template, lambda_environment
from tests.support.client import World
from tests.support.redrive import Redrive, clear_caches
from tests.support.trace import Trace
from tests.support.world import KEY


@pytest.fixture
def trace() -> Trace:
    """The calls of Redrive to AWS."""
    return Trace()


@pytest.fixture
def environment(template: Template, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Sets this process's variables to Redrive's, with the addresses of a table and a bus."""

    def become(table: str, bus: str) -> None:
        for name, value in lambda_environment(template.functions["Redrive"], table, bus, KEY).items():
            if name != "TABLE_NAME" or name not in os.environ:
                monkeypatch.setenv(name, value)
        clear_caches()

    yield become
    clear_caches()


@pytest.fixture
def redrive(template: Template, trace: Trace) -> Redrive:
    def run(**event: Any) -> dict[str, Any]:
        for client in (dead_letters()._client, resending._streams(), resending._lambdas(), table()._client):
            if client not in watched:
                trace.watch(client)
                watched.append(client)
        answer: dict[str, Any] = trace.invoke(template.functions["Redrive"], event)
        return answer

    watched: list[Any] = []
    return run


@pytest.fixture
def letters(world: World, environment: Callable[[str, str], None], tmp_path: Path) -> Letters:
    """The dead letters of a world whose Redrive runs in this process."""
    environment(os.environ["AWS_ENDPOINT_URL_DYNAMODB"], world.bus.url)
    return Letters(tmp_path / "dead-letters.jsonl")
