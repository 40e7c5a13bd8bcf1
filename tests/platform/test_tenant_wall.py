"""The wall under the code: no call leaves the tenant of its request."""

from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from atrium import keys
from atrium.automation import reactions
from atrium.keys import Key
from atrium.store.engine import table as tables
from atrium.store.engine import wall
from atrium.store.engine.scope import scope
from atrium.store.engine.table import Range, Table, Write, starting_with, table
from atrium.store.engine.wall import TenantWall
from local.functions import call
from local.template import Template
from tests.support import iam
from tests.support.automation import WITHOUT_URL, sample
from tests.support.client import World, flat_id, new_key
from tests.support.requests import EVERY_ROUTE, a_project
from tests.support.routes import routes
from tests.support.trace import FUNCTIONS, running
from tests.support.world import Count, inline

OTHER = "f" * 24


def put(key: Key) -> Write:
    return Write("Put", {"Item": {"pk": {"S": key.pk}, "sk": {"S": key.sk}}})


def check(key: Key) -> Write:
    item = {"pk": {"S": key.pk}, "sk": {"S": key.sk}}
    return Write("ConditionCheck", {"Key": item, "ConditionExpression": "attribute_exists(pk)"})


ESCAPES: dict[str, Callable[[Table, str], Any]] = {
    "get": lambda t, own: t.get(keys.project(OTHER, OTHER)),
    "get all": lambda t, own: t.get_all([keys.project(own, OTHER), keys.project(OTHER, OTHER)]),
    "get when committed": lambda t, own: t.get_when_committed(keys.project(OTHER, OTHER)),
    "get all when committed": lambda t, own: t.get_all_when_committed(
        [keys.project(own, OTHER), keys.project(OTHER, OTHER)]
    ),
    "query": lambda t, own: t.query(starting_with(keys.space(OTHER, OTHER).pk, keys.PROJECT, None, 1)),
    "a tenant whose id starts alike": lambda t, own: t.get(keys.project(own + "0", OTHER)),
    "a tenant that is the start of another": lambda t, own: t.get(keys.project(own[:-1], OTHER)),
    "transaction": lambda t, own: t.transact(
        [put(keys.project(own, OTHER)), put(keys.project(OTHER, OTHER))], "x" * 36
    ),
    "condition": lambda t, own: t.transact([check(keys.principal(OTHER, OTHER))], "x" * 36),
    "credential": lambda t, own: t.get(keys.credential("0" * 64)),
    "purge queue of another": lambda t, own: t.transact([put(keys.purge(OTHER, OTHER))], "x" * 36),
    "purge queue, unbounded": lambda t, own: t.query(Range("PURGE#1", "", "\x7f", 1)),
    "scan": lambda t, own: t._client.scan(TableName=t.name),
    "PartiQL": lambda t, own: t._client.execute_statement(Statement=f'SELECT * FROM "{t.name}"'),
    "batch delete": lambda t, own: t.delete_all([keys.project(own, OTHER), keys.project(OTHER, OTHER)]),
    "a free partition": lambda t, own: t._client.query(
        TableName=t.name, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "x"}}
    ),
    "update": lambda t, own: t.touch(keys.project(OTHER, OTHER), "SET #a = :a", "attribute_exists(#pk)", {"a": 1}),
}


@pytest.mark.parametrize("escape", ESCAPES)
def test_a_call_outside_of_the_tenant_is_stopped(world: World, escape: str) -> None:
    own = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    with scope(own), pytest.raises(TenantWall):
        ESCAPES[escape](table(), own)


def test_a_call_without_a_scope_is_stopped(world: World) -> None:
    with pytest.raises(TenantWall):
        table()._client.get_item(TableName=table().name, Key={"pk": {"S": "T#"}, "sk": {"S": "META"}})


def test_threads_stay_behind_the_wall(world: World) -> None:
    own = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    with scope(own):
        assert len(table().together([lambda: table().get(keys.space(own, own))] * 3)) == 3
        with pytest.raises(TenantWall):
            table().together([lambda: table().get(keys.space(own, own)), lambda: table().get(keys.space(OTHER, OTHER))])


def test_only_provisioning_and_the_authorizer_reach_credentials(world: World) -> None:
    own = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    with scope(own, credentials=True):
        assert table().get(keys.credential("0" * 64)) is None
    with scope(None, credentials=True), pytest.raises(TenantWall):
        table().get(keys.space(own, own))


def test_only_the_check_of_the_table_and_the_search_for_tenants_scan(world: World) -> None:
    with scope(None, everything=True):
        found, after = table().scan_keys()
        assert after is None
        assert len({pk.split("#")[1] for pk, _ in found if pk.startswith("T#")}) == 2
        assert table().get(keys.space(OTHER, OTHER)) is None
        with pytest.raises(TenantWall):
            table()._client.execute_statement(Statement=f'SELECT * FROM "{table().name}"')
    for bounded in (scope(OTHER), scope(None, credentials=True), scope(None, purges=True)):
        with bounded, pytest.raises(TenantWall):
            table().scan_keys()


@pytest.fixture
def counted(
    template: Template, engine: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[World, Counter[Any], Counter[Any], Counter[Any]]]:
    """A world, and counters of the requests to DynamoDB from its functions: sent, judged by the wall, and compared with
    the statements of the function's role.
    """
    sent: Counter[Any] = Counter()
    judged: Counter[Any] = Counter()
    permitted: Counter[Any] = Counter()

    def judge(params: Any, model: Any, **more: Any) -> None:
        if running():
            judged[running(), model.name] += 1
        guard(params, model, **more)

    def ask(params: Any, model: Any, *more: Any) -> list[iam.Request]:
        if model.service_model.service_name == "dynamodb":
            permitted[running(), model.name] += 1
        return requests(params, model, *more)

    def send(request: Any, event_name: str, **_: Any) -> None:
        if running():
            sent[running(), event_name.rpartition(".")[2]] += 1

    guard, requests = wall.guard, iam.requests
    monkeypatch.setattr(tables, "guard", judge)
    monkeypatch.setattr(iam, "requests", ask)
    events = FUNCTIONS.get_component("event_emitter")
    events.register("before-send.dynamodb", send)
    with inline(template, engine, tmp_path, call) as world:
        yield world, sent, judged, permitted
    events.unregister("before-send.dynamodb", send)


def test_the_wall_judges_every_call_of_every_function(
    counted: tuple[World, Counter[Any], Counter[Any], Counter[Any]],
    template: Template,
    monkeypatch: pytest.MonkeyPatch,
    count: Count,
) -> None:
    world, sent, judged, permitted = counted
    monkeypatch.setattr(reactions, "settings", lambda: SimpleNamespace(viewer_principal=world.uuid("outsider")))
    project = a_project(world)
    for name, request in EVERY_ROUTE.items():
        method, path, body = request(world, project)
        if world(method, path, body, key=new_key()).status >= 300:
            project = a_project(world)  # an earlier request deleted or changed the project
            method, path, body = request(world, project)
            assert world(method, path, body, key=new_key()).status < 300, name
    for name, events in WITHOUT_URL.items():
        for event in events(world, sample(template.functions[name])):
            call(template.functions[name], event)
    call(template.functions["Fsck"], {})
    assert sent == judged == permitted
    asks_nothing = {"Redrive", *routes(template, public=True)}
    assert {name for name, _ in sent} == set(template.functions) - asks_nothing
    count(calls=sum(sent.values()))
