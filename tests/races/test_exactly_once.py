"""A write happens once: many requests with one key, killed functions, lost answers."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from local.gateway import Gateway
from local.template import Template
from tests.support.client import (
    RECORDS,
    World,
    every_item,
    flat_id,
    flat_path,
    in_camel_case,
    new_key,
    through,
)
from tests.support.killer import Killer
from tests.support.requests import FLAT
from tests.support.rows import rows_naming
from tests.support.world import Count, Crowd, at_once, full


@pytest.mark.timeout(1_200)
def test_one_key_sent_by_all_clients_creates_one_project_with_one_answer(crowd: Crowd, count: Count) -> None:
    world = crowd.world
    clients, keys = full(16, 64), full(8, 200)
    before = {item["_id"] for item in world("GET", "/projects").body}
    made, seen = [], Counter[tuple[int, bool]]()
    for number in range(keys):
        crowd.proxy.conflicts, crowd.proxy.delay = number % 4 > 1, 0.01
        path, body = ("/projects", FLAT) if number % 2 else (world.projects(), {"name": "Apollo"})
        answers = at_once(*[partial(world, "POST", path, body, key=new_key())] * clients)
        assert len({answer.content for answer in answers}) == 1
        made.append(answers[0].body["_id"] if number % 2 else flat_id(answers[0].body["id"]))
        seen.update((answer.status, answer.replayed) for answer in answers)
    assert seen == {(201, False): keys, (201, True): (clients - 1) * keys}
    assert crowd.proxy.conflicted > 0
    listed = [item["_id"] for item in every_item(world, "/projects?limit=100")]
    assert sorted(set(listed) - before) == sorted(made)
    assert len(set(made)) == keys
    count(requests=clients * keys, keys=keys, projects=len(made))


def test_one_key_on_every_writing_route_commits_once(crowd: Crowd) -> None:
    """Eight concurrent requests for each kind of change."""
    world = crowd.world
    crowd.proxy.conflicts = True
    project = world.new_project()
    member = f"{project}/members/{world.uuid('outsider')}"
    requests: Sequence[tuple[str, str, Any]] = [
        ("PATCH", project, {"name": "Gemini"}),
        ("PUT", flat_path(project), FLAT),
        ("POST", f"{project}/members", {"principal_id": world.uuid("outsider"), "role_id": world.role("manager")}),
        ("PATCH", member, {"role_id": world.role("viewer")}),
        ("DELETE", member, None),
        ("DELETE", project, None),
    ]
    for sequence, (method, path, body) in enumerate(requests, start=2):
        key = new_key()
        answers = at_once(*[partial(world, method, path, body, key=key)] * 8)
        assert len({(answer.status, answer.content) for answer in answers}) == 1, (method, path)
        assert answers[0].status < 300
        assert sum(answer.replayed for answer in answers) == 7
        if method != "DELETE" or path == member:
            assert world("GET", flat_path(project)).headers["etag"] == f'"f-{sequence}"'


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("route", ["CreateProject", "V1CreateProject"])
def test_create_killed_at_a_call_and_repeated_creates_one_project(
    crowd: Crowd, template: Template, route: str, at: int, when: str
) -> None:
    world = crowd.world
    killer = Killer(crowd, route, at, when)
    doomed = World(through(Gateway(template.api, template.functions, killer, template.stage)), world.dev)
    path, body = ("/projects", FLAT) if route == "CreateProject" else (world.projects(), {"name": "Apollo"})
    before = {item["_id"] for item in world("GET", "/projects").body}
    key = new_key()
    assert doomed("POST", path, body, key=key).status == 502
    assert killer.killed
    committed = (at, when) == (2, "after")
    assert len(world("GET", "/projects").body) == len(before) + committed
    answer = world("POST", path, body, key=key)
    assert (answer.status, answer.replayed) == (201, committed)
    (made,) = {item["_id"] for item in world("GET", "/projects").body} - before
    assert made == (answer.body["_id"] if "_id" in answer.body else flat_id(answer.body["id"]))
    assert rows_naming(crowd, made) == ["P META", "P ROLE", "S PROJECT", "U PROJECT"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", [1, 2])
def test_task_creation_killed_and_repeated_creates_and_links_one_task(
    crowd: Crowd, template: Template, at: int, when: str
) -> None:
    world = crowd.world
    project = flat_path(world.new_project())
    killer = Killer(crowd, "CreateTask", at, when)
    doomed = World(through(Gateway(template.api, template.functions, killer, template.stage)), world.dev)
    body, key = in_camel_case(RECORDS["tasks"]), new_key()
    assert doomed("POST", f"{project}/tasks", body, key=key).status == 502
    assert killer.killed
    committed = (at, when) == (2, "after")
    assert len(world("GET", project).body["tasks"]) == committed
    made = world("POST", f"{project}/tasks", body, key=key)
    assert (made.status, made.replayed) == (201, committed)
    whole = world("GET", project)
    assert [task["_id"] for task in whole.body["tasks"]] == [made.body["_id"]]
    assert world("GET", f"{project}/tasks").body == [made.body]
    assert whole.headers["etag"] == '"f-2"'


@pytest.mark.parametrize("path", ["/projects", "/projects/{id}/tasks"])
def test_create_has_two_calls(crowd: Crowd, path: str) -> None:
    body = in_camel_case(RECORDS["tasks"]) if path.endswith("tasks") else FLAT
    path = path.replace("/projects/{id}", flat_path(crowd.world.new_project()))
    crowd.proxy.calls.clear()
    crowd.world("POST", path, body, key=new_key())
    assert [call for call in crowd.proxy.calls if call not in ("GetItem", "UpdateItem")] == [
        "BatchGetItem",
        "TransactWriteItems",
    ]


def test_lost_acknowledgement_causes_neither_second_write_nor_conflict(crowd: Crowd) -> None:
    """The engine commits and the answer is lost. The client library repeats the same bytes with the same token."""
    world = crowd.world
    project = world.new_project()
    losses: list[str] = []

    def lose(operation: str, request: dict[str, Any]) -> None:
        if operation == "TransactWriteItems" and not losses:
            losses.append(request["ClientRequestToken"])
            raise ConnectionResetError

    crowd.proxy.after = lose
    answer = world("PATCH", project, {"name": "Gemini"}, headers={"If-Match": '"v-1"'})
    assert losses
    assert (answer.status, answer.headers["etag"]) == (200, '"v-2"')
    assert world("GET", project).headers["etag"] == '"v-2"'
