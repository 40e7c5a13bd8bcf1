"""A write with an Idempotency-Key happens once, and a repeat gets the same answer."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from atrium.store.engine import table as tables
from atrium.store.engine import work
from tests.support.client import World
from tests.support.requests import FLAT, WRITES, a_project
from tests.support.rows import set_space_roles


def test_replay_has_the_same_bytes_and_a_marker(world: World) -> None:
    first = world("POST", "/projects", FLAT, key="k")
    second = world("POST", "/projects", FLAT, key="k")
    assert (first.status, first.replayed) == (201, False)
    assert (second.status, second.content, second.replayed) == (201, first.content, True)
    assert second.headers["etag"] == first.headers["etag"]
    assert len(world("GET", "/projects").body) == 1


def test_bare_and_quoted_key_are_equal(world: World) -> None:
    first = world("POST", world.projects(), {"name": "A"}, headers={"Idempotency-Key": "k-1"})
    assert first.status == 201
    for name in ("Idempotency-Key", "idempotency-key", "IDEMPOTENCY-KEY"):
        for spelled in ("k-1", '"k-1"', " k-1 "):
            again = world("POST", world.projects(), {"name": "A"}, headers={name: spelled})
            assert (again.content, again.replayed) == (first.content, True)


def test_body_with_other_spaces_and_key_order_is_the_same_request(world: World) -> None:
    first = world("POST", world.projects(), content=b'{"name":"A","description":{"a":1,"b":2}}', key="k")
    second = world("POST", world.projects(), content=b'{ "description":{"b":2, "a":1},\n"name":"A" }', key="k")
    assert (second.status, second.content, second.replayed) == (201, first.content, True)


def test_other_request_with_the_same_key_is_refused(world: World) -> None:
    assert world("POST", world.projects(), {"name": "A"}, key="k").status == 201
    detail = {
        "loc": ["header", "Idempotency-Key"],
        "msg": "This Idempotency-Key was used for another request. Send a new one.",
        "type": "idempotency_key_reused",
    }
    assert world("POST", world.projects(), {"name": "B"}, key="k").seen == (422, {"detail": [detail]})
    assert world("POST", world.projects("research"), {"name": "A"}, key="k").status == 422
    assert world("POST", "/projects", FLAT, key="k").status == 201, "another route is another key"
    flat = world("POST", "/projects", {**FLAT, "projectName": "B"}, key="k")
    assert flat.seen == (400, {"error": f"Idempotency-Key: {detail['msg']}"})
    assert len(world("GET", "/projects").body) == 2


def test_equal_keys_of_other_principals_and_tenants_are_independent(world: World) -> None:
    ids = {
        world("POST", world.projects(tenant=tenant), {"name": "A"}, by=by, tenant=tenant, key="k").body["id"]
        for tenant in ("acme", "globex")
        for by in ("owner", "contributor")
    }
    assert len(ids) == 4


def test_a_key_survives_the_change_of_credential(world: World) -> None:
    body = b'{"name":"A"}'
    answers = [
        world.raw(
            "POST",
            world.projects(),
            [credential, ("Content-Type", "application/json"), ("Idempotency-Key", "k")],
            body,
        )
        for credential in (
            ("X-API-Key", world.principal("owner")["api_key"]),
            ("Authorization", f"Bearer {world.principal('owner')['token']}"),
        )
    ]
    assert answers[0].content == answers[1].content
    assert answers[1].replayed


def test_key_of_a_refused_request_can_be_used_again(world: World) -> None:
    project = a_project(world)
    member = f"{project}/members/{world.uuid('viewer')}"
    assert world("PATCH", member, {"role_id": world.uuid("owner")}, key="k").status == 422
    assert world("PATCH", member, {"role_id": world.role("contributor")}, key="k", by="viewer").status == 403
    assert world("PATCH", member, {"role_id": world.role("contributor")}, key="k").status == 200
    assert world("PATCH", member, {"role_id": world.role("contributor")}, key="k").replayed


@pytest.mark.parametrize("route", ["DeleteProject", "V1DeleteProject", "V1RemoveMember"])
def test_replay_of_a_delete_has_the_first_answer(world: World, route: str) -> None:
    method, path, body = WRITES[route](world, a_project(world))
    first = world(method, path, body, key="k")
    assert world(method, path, body, key="other").status == 404
    assert replay(world, method, path, body) == (first.status, first.content)


def replay(world: World, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, bytes]:
    answer = world(method, path, body, key="k", **options)
    assert answer.replayed, answer
    return answer.status, answer.content


def test_self_removal_and_self_demotion_replay(world: World) -> None:
    project = world.new_project()
    member = world.new_member(project, "outsider", "manager")
    demoted = world("PATCH", member, {"role_id": world.role("viewer")}, by="outsider", key="k")
    assert demoted.status == 200
    assert world("PATCH", member, {"role_id": world.role("viewer")}, by="outsider", key="other").status == 403
    assert replay(world, "PATCH", member, {"role_id": world.role("viewer")}, by="outsider")[1] == demoted.content
    assert world("PATCH", member, {"role_id": world.role("manager")}).status == 200
    assert world("DELETE", member, by="outsider", key="k").status == 204
    assert world("GET", project, by="outsider").status == 403
    assert replay(world, "DELETE", member, by="outsider") == (204, b"")


def test_replay_with_data_needs_the_current_permission_to_read(world: World) -> None:
    project = world.new_project()
    member = world.new_member(project, "outsider", "manager")
    changed = world("PATCH", project, {"name": "B"}, by="outsider", key="k")
    assert changed.status == 200
    assert world("DELETE", member).status == 204
    refused = world("PATCH", project, {"name": "B"}, by="outsider", key="k")
    assert refused.seen == (403, {"detail": "You do not have access to this project."})


def test_replayed_create_is_refused_after_the_role_in_the_space_is_lost(world: World) -> None:
    created = world("POST", world.projects(), {"name": "A"}, by="contributor", key="k")
    assert created.status == 201
    set_space_roles(world, "contributor", {})
    refused = world("POST", world.projects(), {"name": "A"}, by="contributor", key="k")
    assert refused.seen == (403, {"detail": "You do not have access to this space."})
    set_space_roles(world, "contributor", {world.dev["tenants"]["acme"]["tenant_id"]: "viewer"})
    assert replay(world, "POST", world.projects(), {"name": "A"}, by="contributor") == (201, created.content)


def test_idempotency_record_expires_to_the_second(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(time=lambda: 2_000_000_000.5)
    monkeypatch.setattr(work, "time", clock)
    first = world("POST", world.projects(), {"name": "A"}, key="k")
    answers = []
    for moment in (2_000_000_000 + 30 * 86_400 - 0.5, 2_000_000_000 + 30 * 86_400):
        monkeypatch.setattr(clock, "time", lambda moment=moment: moment)
        answers.append(world("POST", world.projects(), {"name": "A"}, key="k").replayed)
    assert (first.status, answers) == (201, [True, False])


def test_idempotency_record_is_valid_for_exactly_thirty_days(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    first = world("POST", world.projects(), {"name": "A"}, key="k")
    monkeypatch.setattr(work, "time", SimpleNamespace(time=lambda: now + 29.9 * 86_400))
    assert world("POST", world.projects(), {"name": "A"}, key="k").content == first.content
    monkeypatch.setattr(work, "time", SimpleNamespace(time=lambda: now + 30.1 * 86_400))
    later = world("POST", world.projects(), {"name": "A"}, key="k")
    assert (later.status, later.replayed) == (201, False)
    assert later.body["id"] != first.body["id"]
    assert replay(world, "POST", world.projects(), {"name": "A"}) == (201, later.content)


def test_malformed_key_is_refused(world: World) -> None:
    detail = {
        "loc": ["header", "Idempotency-Key"],
        "msg": "Must be 1 to 255 visible ASCII characters, sent once",
        "type": "idempotency_key",
    }
    for key in ("", " ", '""', "a b", "ä", "a\tb", "x" * 256, "\x7f"):
        assert world("POST", world.projects(), {"name": "A"}, key=key).seen == (422, {"detail": [detail]}), key
        assert world("POST", "/projects", FLAT, key=key).seen == (400, {"error": f"Idempotency-Key: {detail['msg']}"})
    assert world("GET", "/projects", key="a b").seen == (200, []), "reads ignore keys, and nothing was written"
    assert world("POST", world.projects(), {"name": "A"}, key="x" * 255).status == 201


@pytest.mark.parametrize("kind", ["delete", "self-removal", "self-demotion", "if-match"])
def test_twin_with_a_torn_batch_read_is_replayed(world: World, kind: str) -> None:
    """A batch is not a snapshot: it may have the first request's change without its record."""
    project = world.new_project()
    member = world.new_member(project, "outsider", "manager")
    method, path, body, headers = {
        "delete": ("DELETE", project, None, {}),
        "self-removal": ("DELETE", member, None, {}),
        "self-demotion": ("PATCH", member, {"role_id": world.role("viewer")}, {}),
        "if-match": ("PATCH", project, {"name": "B"}, {"If-Match": '"v-1"'}),
    }[kind]
    options: Any = {"by": "outsider", "key": "k", "headers": headers}
    first = world(method, path, body, **options)
    assert first.status in (200, 204)
    torn: list[str] = []

    def tear(parsed: Any, **_: Any) -> None:
        for table, items in parsed.get("Responses", {}).items():
            kept = [item for item in items if "#I#" not in item["pk"]["S"]]
            if len(kept) < len(items) and not torn:
                torn.append(table)
                parsed["Responses"][table] = kept

    tables.table()._client.meta.events.register("after-call.dynamodb.BatchGetItem", tear)
    second = world(method, path, body, **options)
    assert torn
    assert (second.status, second.content, second.replayed) == (first.status, first.recorded, True)


def test_two_keys_are_refused(world: World) -> None:
    token = ("Authorization", f"Bearer {world.principal('owner')['token']}")
    headers = [token, ("Idempotency-Key", "a"), ("Idempotency-Key", "b"), ("Content-Type", "application/json")]
    assert world.raw("POST", world.projects(), headers, b'{"name":"A"}').status == 422
