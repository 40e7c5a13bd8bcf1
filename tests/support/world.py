"""The two ways to run the API under test: in this process, and in worker processes behind a proxy.

The fixtures of conftest.py are made of them.
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import boto3
import pytest

from atrium.access_tokens import access_tokens
from atrium.api import authorizer
from atrium.settings import settings
from atrium.store import letters, outbox
from atrium.store.engine import table as tables
from local.bus import served
from local.database import Database, new_access_key_id
from local.demo import demo
from local.functions import Invoker, call
from local.gateway import Gateway
from local.letters import Letters
from local.template import Function, Template, create_table, lambda_environment
from tests.support import clock
from tests.support.client import Answer, Published, World, through
from tests.support.clock import Clock, Workers
from tests.support.limits import Limits
from tests.support.proxy import Proxy
from tests.support.trace import enforced

# Of a crowd.
PROCESSES = 8


# The access key id that engines and buses of tests take; of an engine that runs already, its own.
KEY = os.environ.get("ENGINE_KEY") or new_access_key_id()


# What a test has tried, by name.
Count = Callable[..., None]


@cache
def the_template() -> Template:
    """For what is needed when tests are collected: the translator takes a while."""
    return Template()


def full(few: int, many: int) -> int:
    """The size inside `make test`, and the one of `make prove`."""
    return many if os.environ.get("PROVE") else few


@contextmanager
def inline(template: Template, endpoint: str | None, directory: Path, invoke: Invoker) -> Iterator[World]:
    """A world on a table of its own, whose functions may do what the template allows them. The functions' process is
    this one, so the innermost world is the one that runs.
    """
    functions = template.functions
    bus = Published()
    table = endpoint or "https://dynamodb.us-east-1.amazonaws.com"
    caches = (settings, tables.table, outbox.bus, letters.dead_letters, authorizer.credentials, access_tokens)
    queue = Letters(directory / "dead-letters.jsonl")
    with (
        served(bus, KEY, queue, lambda name, event: call(functions[name], event)),
        enforced(template),
        pytest.MonkeyPatch.context() as patch,
    ):
        environment = lambda_environment(functions["Provision"], table, bus.url, KEY)
        environment["TABLE_NAME"] = f"atrium-{uuid4()}"
        del environment["AWS_LAMBDA_INITIALIZATION_TYPE"]
        for name, value in environment.items():
            patch.setenv(name, value)
        clock.install(Clock(), patch.setattr)
        for cached in caches:
            cached.cache_clear()
        client = boto3.client("dynamodb")
        # Without a stream: nobody reads it here, and the engine gets slower with each one of a table that is gone.
        schema = {name: value for name, value in template.table.items() if name != "StreamSpecification"}
        create_table(client, {**schema, "TableName": environment["TABLE_NAME"]})
        Limits().watch(tables.table()._client)
        dev = demo_in(client, environment["TABLE_NAME"], functions["Provision"], directory)
        gateway = Gateway(template.api, functions, invoke, template.stage)
        yield World(through(gateway), dev, bus, gateway)
        client.delete_table(TableName=environment["TABLE_NAME"])
        for cached in caches:
            cached.cache_clear()


# What Provision made of the demo tenants, by its environment: what a client knows of them, and the table's rows.
_made: dict[frozenset[tuple[str, str]], tuple[Any, list[Any]]] = {}


def demo_in(client: Any, table: str, provision: Function, directory: Path) -> Any:
    """The demo tenants in an empty table. Provision makes them once in a process. The other tables get copies of the
    rows: most tests of a process have a table of their own.
    """
    environment = frozenset(provision.environment.items())
    if environment not in _made:
        dev = demo(directory, lambda request: call(provision, request))
        _made[environment] = dev, client.scan(TableName=table, ConsistentRead=True)["Items"]
        return deepcopy(dev)
    dev, rows = _made[environment]
    for first in range(0, len(rows), 25):
        writes = [{"PutRequest": {"Item": row}} for row in rows[first : first + 25]]
        assert not client.batch_write_item(RequestItems={table: writes})["UnprocessedItems"]
    return deepcopy(dev)


@dataclass
class Crowd:
    """The API in worker processes, on DynamoDB Local behind a proxy. `environment` is the functions'; `client` goes
    past the proxy; `letters` is the queue DeadLetters.
    """

    world: World
    invoke: Invoker
    proxy: Proxy
    environment: dict[str, str]
    client: Any
    letters: Letters


@contextmanager
def crowd_on(engine: Database, template: Template, directory: Path) -> Iterator[Crowd]:
    client = engine.client()
    create_table(client, template.table)
    bus = Published()
    queue = Letters(directory / "dead-letters.jsonl")
    invoked = served(bus, KEY, queue, lambda name, event: workers(template.functions[name], event))
    with Proxy(engine.endpoint).served() as proxy, invoked:
        environment = lambda_environment(template.functions["Provision"], proxy.url, bus.url, KEY)
        workers = Workers(environment, size=PROCESSES)
        try:
            dev = demo(directory, lambda request: workers(template.functions["Provision"], request))
            world = World(through(Gateway(template.api, template.functions, workers, template.stage)), dev, bus)
            yield Crowd(world, workers, proxy, environment, client, queue)
        finally:
            workers.stop()


T = TypeVar("T")


def at_once(*calls: Callable[[], T]) -> list[T]:
    """The results of calls that start at the same moment."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


BeforeCommit = Callable[[Callable[[World], Answer]], None]
