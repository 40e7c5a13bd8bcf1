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

from atrium import signatures
from atrium.access_tokens import access_tokens
from atrium.api import authorizer
from atrium.keys import Key
from atrium.settings import settings
from atrium.store import letters, outbox, webhook_queues
from atrium.store.engine import table as tables
from local.bus import served
from local.database import Database, new_access_key_id
from local.demo import demo
from local.directory import webhook_key
from local.functions import Invoker, call
from local.gateway import Gateway
from local.letters import Letters
from local.queues import Queues
from local.template import Template, create_table, lambda_environment
from tests.support import clock
from tests.support.client import Answer, Published, World, through
from tests.support.clock import Clock, Workers
from tests.support.direct import Direct
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
    """For what is needed when tests are collected: the translator takes a while. With every function there can be."""
    return Template(ExportBucket="exports")


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
    caches = (
        *(settings, tables.table, outbox.bus, letters.dead_letters, webhook_queues.webhook_queues, signatures.kms),
        *(authorizer.credentials, access_tokens),
    )
    queues = Queues(template.queues, Letters(directory / "dead-letters.jsonl"))
    with (
        served(bus, KEY, queues, lambda name, event: call(functions[name], event), webhook_key(directory)),
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
        signatures.remembered.clear()
        with demo_table(template, endpoint, environment["TABLE_NAME"], directory) as (made, dev):
            if made:
                patch.setenv("TABLE_NAME", made.name)
            Limits().watch(tables.table()._client)
            gateway = Gateway(template.api, functions, invoke, template.stage)
            yield World(through(gateway), dev, bus, gateway, made, queues)
        for cached in caches:
            cached.cache_clear()


# What Provision made of the demo tenants, by its environment: what a client knows of them, and the table's rows.
_made: dict[frozenset[tuple[str, str]], tuple[Any, dict[Key, Any]]] = {}

# The same of moto. Its transactions copy the whole table: a Provision takes it a second.
_made_on_moto: dict[frozenset[tuple[str, str]], tuple[Any, list[Any]]] = {}

# The tables that no world has now, by the engine and Provision's environment. Each has those rows, and no others: a
# table takes five times as long to be made as to be left as it was found.
_free: dict[tuple[str, frozenset[tuple[str, str]]], list[str]] = {}

# A table with more changes is deleted instead.
_MAX_RESTORED = 250


@contextmanager
def demo_table(
    template: Template, endpoint: str | None, new: str, directory: Path
) -> Iterator[tuple[Direct | None, Any]]:
    """A table (None on moto), and what a client knows of the demo tenants in it. The table has no other rows. It is
    called `new` if it has to be made. Provision makes the tenants once in a process. The other tables get copies of
    the rows.
    """
    provision = template.functions["Provision"]
    environment = frozenset(provision.environment.items())

    def make() -> None:
        # Without a stream: no test reads one here, and the engine gets slower with each one of a table that is gone.
        schema = {key: value for key, value in template.table.items() if key != "StreamSpecification"}
        create_table(boto3.client("dynamodb"), {**schema, "TableName": new})

    def provide() -> Any:
        return demo(directory, lambda request: call(provision, request))

    if endpoint is None:
        make()
        client = boto3.client("dynamodb")
        if environment not in _made_on_moto:
            dev = provide()
            found = client.scan(TableName=new)
            assert "LastEvaluatedKey" not in found, "the rows are more than a page"
            _made_on_moto[environment] = dev, found["Items"]
        else:
            writes = [{"PutRequest": {"Item": row}} for row in _made_on_moto[environment][1]]
            for start in range(0, len(writes), 25):
                client.batch_write_item(RequestItems={new: writes[start : start + 25]})
        yield None, deepcopy(_made_on_moto[environment][0])
        return
    free = _free.setdefault((endpoint, environment), [])
    table = Direct(endpoint, KEY, free.pop() if free else new)
    if table.name == new:
        make()
        if environment in _made:
            table.write([*_made[environment][1].values()])
        else:
            _made[environment] = provide(), table.items()
    dev, rows = _made[environment]
    yield table, deepcopy(dev)
    if restored(table, rows):
        free.append(table.name)
    else:
        table.call("DeleteTable", {"TableName": table.name})
    table.close()


def restored(table: Direct, rows: dict[Key, Any]) -> bool:
    """Whether the table has these rows again, and no others: not one with many changes, and not one that is gone."""
    try:
        now = table.items()
    except AssertionError:
        return False
    changed = [row for key, row in rows.items() if now.get(key) != row]
    added = now.keys() - rows.keys()
    if len(changed) + len(added) > _MAX_RESTORED:
        return False
    table.write(changed, [*added])
    return True


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
    dead_letters = Letters(directory / "dead-letters.jsonl")
    queues = Queues(template.queues, dead_letters)
    key_file = webhook_key(directory)
    invoked = served(bus, KEY, queues, lambda name, event: workers(template.functions[name], event), key_file)
    with Proxy(engine.endpoint).served() as proxy, invoked:
        environment = lambda_environment(template.functions["Provision"], proxy.url, bus.url, KEY)
        workers = Workers(environment, size=PROCESSES)
        try:
            dev = demo(directory, lambda request: workers(template.functions["Provision"], request))
            world = World(through(Gateway(template.api, template.functions, workers, template.stage)), dev, bus)
            yield Crowd(world, workers, proxy, environment, client, dead_letters)
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
