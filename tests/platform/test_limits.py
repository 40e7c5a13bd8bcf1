"""The largest requests stay within DynamoDB's limits; larger requests are refused before a write.

All tests in this process run under `tests.support.limits`; this file has the requests closest to the limits.
"""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from atrium import keys
from atrium.ids import new_id
from atrium.store.engine.table import table
from atrium.store.engine.wire import plain_item, wire_key
from atrium.store.fsck import check as checks
from atrium.store.fsck.check import Check
from atrium.store.purge import Deletion, Purge
from local.functions import FunctionFailed, call
from local.template import Template
from tests.support.client import RECORDS, Answer, World, flat_id, flat_path, in_camel_case, new_key
from tests.support.faults import faulty
from tests.support.limits import KB, MAX_ITEM, LimitExceeded, Limits, size_of
from tests.support.rows import copies
from tests.support.world import full

# A character of four bytes in UTF-8, and one of two characters in JSON.
FACE, QUOTE = "\U0001f600", '"'

PUT = {"Item": {"pk": {"S": "T"}, "sk": {"S": "META"}}}


def transaction(*puts: dict[str, Any], token: str = "t") -> dict[str, Any]:
    return {"TransactItems": [{"Put": put} for put in puts], "ClientRequestToken": token}


def put(sk: str = "META", **values: Any) -> dict[str, Any]:
    return {"Item": {"pk": {"S": "T"}, "sk": {"S": sk}, **values}}


def nested(levels: int) -> dict[str, Any]:
    return {"L": [nested(levels - 1)]} if levels else {"S": ""}


def read(count: int) -> dict[str, Any]:
    return {"RequestItems": {"t": {"Keys": [put(str(number))["Item"] for number in range(count)]}}}


def deleted(count: int) -> dict[str, Any]:
    return {"RequestItems": {"t": [{"DeleteRequest": {"Key": put(str(n))["Item"]}} for n in range(count)]}}


# ---------------------------------------------------------------- the limits are known


@pytest.mark.parametrize(
    ("operation", "within", "above"),
    [
        ("PutItem", put(x={"S": "x" * (400 * KB - 10)}), put(x={"S": "x" * (400 * KB - 9)})),
        ("PutItem", put(x=nested(32)), put(x=nested(33))),
        ("PutItem", put(x={"N": "1" * 38}), put(x={"L": [{"N": "-" + "1" * 39}]})),
        ("PutItem", put(FACE * 256), put(FACE * 256 + "x")),
        ("GetItem", {"Key": {"pk": {"S": FACE * 512}, "sk": {"S": "x"}}}, {"Key": {"pk": {"S": "x"}, "sk": {"S": ""}}}),
        ("GetItem", {"Key": put()["Item"]}, {"Key": {"pk": {"S": FACE * 513}, "sk": {"S": "x"}}}),
        ("BatchGetItem", read(100), read(101)),
        ("BatchWriteItem", deleted(25), deleted(26)),
        ("TransactWriteItems", transaction(*map(put, map(str, range(100)))), transaction(*map(put, map(str,
        range(101))))), ("TransactWriteItems", transaction(put("a"), put("b")), transaction(put("a"), put("a"))), (
        "TransactWriteItems", transaction(*(put(str(number), x={"S": "x" * 390 * KB}) for number in range(10))),
        transaction(*(put(str(number), x={"S": "x" * 390 * KB}) for number in range(11))), ), ("UpdateItem", put() |
        {"UpdateExpression": "x" * 4 * KB}, put() | {"UpdateExpression": "x" * 4 * KB + "x"}), ("UpdateItem", put() |
        {"ConditionExpression": "x AND " * 300}, put() | {"ConditionExpression": "x OR " * 301}),
    ],
)  # fmt: skip
def test_each_limit_is_held(operation: str, within: dict[str, Any], above: dict[str, Any]) -> None:
    Limits().check(operation, within)
    with pytest.raises(LimitExceeded):
        Limits().check(operation, above)


def test_a_token_belongs_to_one_transaction() -> None:
    limits = Limits()
    for _ in range(2):
        limits.check("TransactWriteItems", transaction(put("a")))
    with pytest.raises(LimitExceeded):
        limits.check("TransactWriteItems", transaction(put("b")))


@pytest.mark.usefixtures("world")
def test_a_function_exceeding_a_limit_fails_its_test(template: Template, monkeypatch: Any) -> None:
    monkeypatch.setattr("atrium.store.tenants.MAX_ITEMS", 1_000)
    people = [{"name": f"P{number}", "email": f"{number}@initech.example"} for number in range(40)]
    request = {"request_token": "r-1", "tenant": {"name": "Initech"}, "principals": people}
    with pytest.raises(LimitExceeded):
        call(template.functions["Provision"], request)


# ---------------------------------------------------------------- the largest accepted, and one more


@pytest.fixture
def limits(shared: World) -> Iterator[Limits]:
    """The largest amounts in the calls of a test."""
    made = Limits()
    made.watch(table()._client)
    yield made
    print(dict(made.most))


def sent(world: World, method: str, path: str, body: Any) -> Answer:
    """Sends a body in UTF-8, since escapes would be three times as long."""
    return world(method, path, content=json.dumps(body, ensure_ascii=False).encode(), key=new_key())


def longest(kind: str, character: str, more: int = 0) -> dict[str, Any]:
    """The largest record of a kind, or one longer by this many characters."""
    lengths = dict.fromkeys(RECORDS[kind], 10_000) | {"name": 200}
    kept = {"phase", "acquisition_date"}
    return {
        name: value if name in kept else character * (lengths[name] + more) for name, value in RECORDS[kind].items()
    } | ({"alternatives": character * (10_000 + more)} if kind == "decisions" else {})


def largest_item() -> int:
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=os.environ["TABLE_NAME"])
    return max(size_of(item) for page in pages for item in page["Items"])


def assert_refused(world: World, method: str, path: str, body: Any) -> None:
    """The request is a client error, and writes nothing."""
    with faulty(lambda *_: None) as client:
        answer = sent(world, method, path, body)
    assert answer.status in (400, 413, 422), answer.status
    assert "TransactWriteItems" not in client.calls


@pytest.mark.parametrize("flat", [False, True], ids=["v1", "flat"])
@pytest.mark.parametrize("kind", sorted(RECORDS))
def test_the_largest_records_are_accepted_and_larger_ones_refused(
    shared: World, limits: Limits, kind: str, flat: bool
) -> None:
    project = shared.new_project(FACE * 200)
    # The event of each change is stored next to the largest attributes of the project.
    assert sent(shared, "PATCH", project, {"description": FACE * 8191}).status == 200
    path = f"{flat_path(project) if flat else project}/{kind}"
    as_sent = in_camel_case if flat else dict
    for character in (FACE, QUOTE):
        made = sent(shared, "POST", path, as_sent(longest(kind, character)))
        assert made.status == 201
        one = f"{path}/{made.body['_id' if flat else 'id']}"
        again = as_sent(longest(kind, FACE if character == QUOTE else QUOTE))
        if not flat or kind == "tasks":
            changed = sent(shared, "PUT" if flat else "PATCH", one, again)
            assert changed.status == 200
            assert {name: changed.body[name] for name in again if name != "acquisition_date"} == {
                name: value for name, value in again.items() if name != "acquisition_date"
            }
        if kind == "tasks":
            note = sent(shared, "POST", f"{flat_path(one) if not flat else one}/notes", {"content": FACE * 10_000})
            assert note.status == 201
            assert_refused(shared, "POST", f"{flat_path(one) if not flat else one}/notes", {"content": "x" * 10_001})
        assert shared("DELETE", one, key=new_key()).status in (200, 204)
    assert_refused(shared, "POST", path, as_sent(longest(kind, "x", more=1)))
    assert limits.most["bytes of an item"] < MAX_ITEM * 0.75
    assert largest_item() < MAX_ITEM * 0.75


def test_the_largest_projects_are_accepted_and_larger_ones_refused(shared: World, limits: Limits) -> None:
    for character, many in ((FACE, 8191), (QUOTE, 16383), ("x", 32766)):
        whole = {"name": character * 200, "description": character * many}
        project = f"{shared.projects()}/{sent(shared, 'POST', shared.projects(), whole).body['id']}"
        assert sent(shared, "PATCH", project, whole).body["description"] == whole["description"]
        for wrong in (whole | {"description": character * many + "xxx"}, whole | {"name": "x" * 201}):
            assert_refused(shared, "POST", shared.projects(), wrong)
            assert_refused(shared, "PATCH", project, wrong)
        body = {"projectName": character * 200, "clientName": character * 200, "description": character * 8000}
        made = sent(shared, "POST", "/projects", body)
        path = f"/projects/{made.body['_id']}"
        assert sent(shared, "PUT", path, body).body["description"] == body["description"]
        for wrong in (body | {"description": FACE * 8189}, body | {"description": "x" * 10_001}):
            assert_refused(shared, "POST", "/projects", wrong)
            assert_refused(shared, "PUT", path, wrong)
    deep = json.loads("[" * 30 + "]" * 30)
    assert sent(shared, "POST", shared.projects(), {"name": "x", "description": {"deep": deep}}).status == 201
    assert_refused(shared, "POST", shared.projects(), {"name": "x", "description": {"deep": [[deep]]}})
    number = '{"name": "x", "description": {"number": %s}}'
    for digits, status in ((38, 201), (39, 422)):
        assert shared("POST", shared.projects(), content=(number % ("9" * digits)).encode()).status == status


def test_the_longest_keys_are_looked_up_and_longer_ones_refused(shared: World, limits: Limits) -> None:
    project = flat_path(shared.new_project())
    assert sent(shared, "POST", f"{project}/team/find", {"email": FACE * 254}).status == 404
    assert sent(shared, "POST", f"{project}/team/find", {"email": FACE * 255}).status in (400, 404)
    for length, status in ((100, 200), (101, 400)):
        query = "%F0%9F%98%80" * length
        assert shared("GET", f"{project}/team/search?q={query}").status == status
    for query in ("cursor=" + "A" * 5000, "limit=" + "9" * 5000):
        assert shared("GET", f"/projects?{query}").status == 400
    assert shared("GET", f"/projects/{'a' * 3000}").status == 404
    assert shared("DELETE", project, key="k" * 255).status == 200
    assert shared("DELETE", project, key="k" * 256).status == 400
    assert limits.most["bytes of a sk"] > 1000


# ---------------------------------------------------------------- many


def members_of(world: World, project: str, count: int) -> None:
    """Copies the owner's rows in a project, past the API, for people without an entry in the directory."""
    client, name = boto3.client("dynamodb"), os.environ["TABLE_NAME"]
    tenant, id = flat_id(world.dev["tenants"]["acme"]["tenant_id"]), flat_id(project.rpartition("/")[2])
    owner = world.id("owner")
    rows = (keys.member(tenant, id, owner), keys.principal_project(tenant, owner, id), keys.principal(tenant, owner))
    wired = [client.get_item(TableName=name, Key=wire_key(key))["Item"] for key in rows]
    puts = []
    for _ in range(count - 1):
        copied = json.loads(json.dumps(wired).replace(owner, new_id()))
        puts += [{"PutRequest": {"Item": item}} for item in copied]
    for position in range(0, len(puts), 25):
        client.batch_write_item(RequestItems={name: puts[position : position + 25]})
    counted = {"UpdateExpression": "SET members = :n", "ExpressionAttributeValues": {":n": {"N": str(count)}}}
    client.update_item(TableName=name, Key=wire_key(keys.project(tenant, id)), **counted)


def test_the_largest_project_is_changed_repaired_deleted_and_purged_within_the_limits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits, members, tasks = Limits(), full(130, 1_000), full(230, 1_000)
    limits.watch(table()._client)
    monkeypatch.setattr(checks, "MOMENT", 0.01)
    project = world.new_project(FACE * 200)
    members_of(world, project, members)
    copies(world, project, "tasks", tasks, name=FACE * 200)
    body = {"projectName": FACE * 200, "clientName": QUOTE * 200, "description": FACE * 8000}
    changed = sent(world, "PUT", flat_path(project), body)
    assert (changed.status, len(changed.body["team"])) == (200, members - 1)
    assert limits.most["bytes of an item"] > 50 * KB
    assert limits.most["bytes of an item"] < MAX_ITEM * 0.75
    assert largest_item() < MAX_ITEM * 0.75
    tenant, id = flat_id(world.dev["tenants"]["acme"]["tenant_id"]), flat_id(project.rpartition("/")[2])
    miscounted = {"UpdateExpression": "SET members = :n", "ExpressionAttributeValues": {":n": {"N": "1"}}}
    key = keys.project(tenant, id)
    boto3.client("dynamodb").update_item(TableName=os.environ["TABLE_NAME"], Key=wire_key(key), **miscounted)
    assert Check(table(), repair=True).run()["repaired"]["members_miscounted"] == 1
    assert world("DELETE", project, key=new_key()).status == 204
    queued = boto3.client("dynamodb").get_item(
        TableName=os.environ["TABLE_NAME"], Key=wire_key(keys.purge(tenant, id))
    )["Item"]
    purge = Purge(table(), Deletion.of(plain_item(queued)))
    assert purge.run()
    assert purge.removed == members + tasks
    assert limits.most["items of a batch write"] == 25
    assert limits.most["items of a batch read"] <= 100


# ---------------------------------------------------------------- provisioning


def provisioned(template: Template, people: int, name: Callable[[int], str], **more: Any) -> Any:
    """Provisions people with a name of five words, an e-mail address of the greatest length, a role and a credential.
    Each takes fourteen items, events included; the tenant, its spaces and the record of the answer come on top."""
    request = {
        "request_token": new_key(),
        "tenant": {"name": FACE * 200},
        "principals": [
            {
                "name": name(number),
                "email": f"{number:03}{FACE * 249}@x",
                "roles": {"default": "viewer"},
                "credentials": [{"kind": "key"}],
            }
            for number in range(people)
        ],
    }
    return call(template.functions["Provision"], request | more)


def test_provisioning_accepts_100_items_and_refuses_more(shared: World, template: Template, limits: Limits) -> None:
    words = " ".join(letter + FACE * 38 for letter in "abcde")

    def name(number: int) -> str:
        return f"{number}{words}"

    spaces = [{"name": f"{number:02}{FACE * 198}"} for number in range(9)]
    provisioned(template, 4, name, spaces=spaces)
    assert limits.most["items of a transaction"] == 100
    assert limits.most["bytes of an item"] < MAX_ITEM / 2
    limits.most.clear()
    with pytest.raises(FunctionFailed, match="102 items of at most 100"):
        provisioned(template, 5, name, spaces=spaces[:6])
    assert "items of a transaction" not in limits.most
    with pytest.raises(FunctionFailed, match="email"):
        provisioned(template, 1, name, principals=[{"name": "x", "email": f"{FACE * 253}@x"}])
    assert "items of a transaction" not in limits.most
