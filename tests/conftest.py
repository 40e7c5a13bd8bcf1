"""Two ways to run the API under test.

`world` is fast and single-threaded: the gateway calls the functions in this process, on moto. `crowd` is for
everything about concurrency and durability: the functions run in worker processes, on DynamoDB Local behind a proxy.
Sizes are those of `make test`; `full(few, many)` gives the many under `make prove`.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from atrium.api import authorizer
from atrium.settings import settings
from atrium.store import table as tables
from local.database import database, engine_client
from local.demo import demo
from local.functions import Workers, call
from local.gateway import Gateway
from local.template import CREDENTIALS, Template, create_table, lambda_environment
from tests.client import World, through
from tests.proxy import Proxy


def full(few: int, many: int) -> int:
    """The size inside `make test`, and the one of `make prove`."""
    return many if os.environ.get("PROVE") else few


@pytest.fixture(scope="session")
def template() -> Template:
    return Template()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def world(template: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The API in this process, on moto."""
    functions = template.functions
    for name, value in {**functions["Authorizer"].environment, **CREDENTIALS}.items():
        monkeypatch.setenv(name, value)
    for cached in (settings, tables.table, authorizer.credentials):
        cached.cache_clear()
    with mock_aws():
        create_table(boto3.client("dynamodb"), template.table)
        dev = demo(tmp_path, lambda request: call(functions["Provision"], request))
        yield World(through(Gateway(template.api, functions, call, template.stage)), dev)
    for cached in (settings, tables.table, authorizer.credentials):
        cached.cache_clear()


@pytest.fixture(scope="session")
def engine() -> Iterator[str]:
    """DynamoDB Local, in memory."""
    with database(None) as endpoint:
        yield endpoint


@dataclass
class Crowd:
    """The API in worker processes, on DynamoDB Local behind a proxy. `environment` is the functions'."""

    world: World
    proxy: Proxy
    environment: dict[str, str]
    client: Any


@pytest.fixture(scope="session")
def crowd_session(engine: str, template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    with ExitStack() as stack:
        yield stack.enter_context(_crowd(engine, template, tmp_path_factory.mktemp("crowd")))


@pytest.fixture
def crowd(crowd_session: Crowd) -> Iterator[Crowd]:
    """The session's crowd, its proxy back to doing nothing after each test."""
    yield crowd_session
    fresh = Proxy("http://unused")
    for name in ("before", "after", "conflicts", "delay", "conflicted"):
        setattr(crowd_session.proxy, name, getattr(fresh, name))


@contextmanager
def _crowd(engine: str, template: Template, directory: Path) -> Iterator[Crowd]:
    client = engine_client(engine)
    create_table(client, template.table)
    with Proxy(engine).served() as proxy:
        environment = lambda_environment(template.functions["Provision"], proxy.url)
        workers = Workers(environment, size=8)
        try:
            dev = demo(directory, lambda request: workers(template.functions["Provision"], request))
            world = World(through(Gateway(template.api, template.functions, workers, template.stage)), dev)
            yield Crowd(world, proxy, environment, client)
        finally:
            workers.stop()
