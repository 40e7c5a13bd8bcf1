"""Defects found in the code of a similar API, each with a test that would find it here.

The kill tests of test_exactly_once.py and test_purge.py cover projects left incomplete by a crash; test_purge.py covers
rows left behind by a deletion.
"""

from functools import partial
from typing import Any

import pytest

from tests.support.client import RECORDS, World, flat_id, flat_path, in_camel_case, new_key
from tests.support.requests import EVERY_ROUTE, FLAT, a_project
from tests.support.world import Crowd, at_once


def test_1_adding_oneself_to_a_project_is_refused(shared: World) -> None:
    project = shared.new_project()
    refused = shared("POST", f"{flat_path(project)}/team", {"id": shared.id("outsider")}, by="outsider")
    assert refused.seen == (403, {"error": "You do not have access to this project."})
    viewer = shared("POST", f"{flat_path(project)}/team", {"id": shared.id("viewer")}, by="viewer")
    assert viewer.seen == (403, {"error": "You may not manage the members of this project."})
    assert shared("GET", flat_path(project), by="outsider").status == 403
    assert shared("GET", flat_path(project)).body["team"] == []


@pytest.mark.parametrize("route", [name for name in EVERY_ROUTE if "Project" not in name and name[:2] != "V1"])
def test_2_knowing_an_id_gives_no_access_below_a_project(shared: World, route: str) -> None:
    method, path, body = EVERY_ROUTE[route](shared, a_project(shared))
    refused = shared(method, path, body, by="outsider")
    assert refused.seen == (403, {"error": "You do not have access to this project."})
    foreign = shared(method, path, body, by="owner", tenant="globex")
    assert foreign.seen == (404, {"error": "Project not found."})


@pytest.mark.parametrize("kind", sorted(RECORDS))
def test_3_a_record_is_reached_under_its_own_project_only(shared: World, kind: str) -> None:
    project, other = (shared.new_project() for _ in range(2))
    record = shared.new_record(project, kind)
    elsewhere = record.replace(project, other)
    gone = f"{kind[:-1].title()} not found."
    for method in ("GET", "PATCH", "DELETE"):
        assert shared(method, elsewhere, {"phase": "business"}).seen == (404, {"detail": gone})
    assert shared("DELETE", flat_path(elsewhere)).seen == (404, {"error": gone})
    if kind == "tasks":
        note = shared.new_note(record)
        assert shared("DELETE", note.replace(flat_path(project), flat_path(other))).seen == (404, {"error": gone})
        another = shared.new_record(project, "tasks")
        moved = note.replace(flat_path(record), flat_path(another))
        assert shared("DELETE", moved).seen == (404, {"error": "Note not found."})
        assert len(shared("GET", f"{flat_path(record)}/notes").body) == 1
    assert shared("GET", record).headers["etag"] == '"v-1"'


def test_4_only_settable_fields_are_set(shared: World) -> None:
    stranger = shared.id("outsider")
    body = FLAT | {"_id": "0" * 24, "manager": stranger, "team": [stranger], "tasks": [{"name": "x"}], "version": 9}
    made = shared("POST", "/projects", body)
    assert made.status == 201
    assert (made.body["manager"], made.body["team"], made.body["tasks"]) == (shared.id("owner"), [], [])
    assert made.body["_id"] != "0" * 24
    put = shared("PUT", f"/projects/{made.body['_id']}", body)
    assert put.body == made.body
    path = f"/projects/{made.body['_id']}"
    for kind in RECORDS:
        smuggled = {"_id": "0" * 24, "project": "0" * 24, "createdBy": stranger, "createdAt": "x", "completedBy": [1]}
        record = shared("POST", f"{path}/{kind}", in_camel_case(RECORDS[kind]) | smuggled).body
        assert (record["project"], record["createdBy"]) == (made.body["_id"], shared.id("owner"))
        assert record["_id"] != "0" * 24
        assert record["createdAt"] != "x"
        assert record.get("completedBy", []) == []
        project = (
            f"{shared.projects()}/{made.body['_id'][:8]}-{made.body['_id'][8:12]}-8000-8000-{made.body['_id'][12:]}"
        )
        assert shared("POST", f"{project}/{kind}", RECORDS[kind] | {"created_by": stranger}).status == 422


def test_5_6_concurrent_additions_are_all_stored(crowd: Crowd) -> None:
    """No list is read, changed and written back, so concurrent additions cannot overwrite each other."""
    world = crowd.world
    crowd.proxy.conflicts = True
    project = world.new_project()
    requests = [
        *[
            partial(world, "POST", f"{project}/{kind}", RECORDS[kind], key=new_key())
            for kind in RECORDS
            for _ in range(4)
        ],
        *[
            partial(world, "POST", f"{flat_path(project)}/team", {"id": world.id(name)})
            for name in ("viewer", "contributor", "outsider")
        ],
    ]
    answers = at_once(*requests)
    assert {answer.status for answer in answers} == {201}
    report = world("GET", f"{flat_path(project)}/report").body
    made = {flat_id(answer.body["id"]) for answer in answers if "id" in answer.body}
    assert {item["_id"] for kind in RECORDS for item in report[kind]} == made
    whole = world("GET", flat_path(project))
    assert len(whole.body["tasks"]) == 4
    assert set(whole.body["team"]) == {world.id(name) for name in ("viewer", "contributor", "outsider")}
    assert whole.headers["etag"] == f'"f-{1 + len(requests)}"'


def test_7_a_new_project_is_complete(shared: World) -> None:
    """A project has no parts to create in a loop: phases are values, not rows."""
    made = shared("POST", "/projects", FLAT).body
    for phase in ("business", "data_understanding", "data_preparation", "modeling", "evaluation", "deployment"):
        body = in_camel_case(RECORDS["decisions"]) | {"phase": phase}
        assert shared("POST", f"/projects/{made['_id']}/decisions", body).status == 201


def test_8_an_answered_deletion_is_complete(shared: World) -> None:
    project = shared.new_project()
    paths = [shared.new_record(project, kind) for kind in RECORDS]
    assert shared("DELETE", flat_path(project)).seen == (200, {"message": "Project deleted successfully."})
    assert {shared("GET", path).status for path in (project, *paths)} == {404}


def test_9_callers_unable_to_manage_a_project_learn_nothing_about_its_tenants_people(shared: World) -> None:
    project = shared.new_project()
    team = f"{flat_path(project)}/team"
    for by in ("viewer", "contributor", "outsider"):
        answers: list[Any] = [
            shared("POST", f"{team}/find", {"email": email}, by=by).seen
            for email in ("owner@acme.example", "unknown@acme.example")
        ]
        answers += [shared("GET", f"{team}/search?q={text}", by=by).seen for text in ("owner", "unknown")]
        assert {status for status, _ in answers} == {403}
        assert len({str(body) for _, body in answers}) == 1


def test_10_lists_have_pages_writes_have_keys_and_versions(shared: World) -> None:
    project = shared.new_project()
    key = new_key()
    first, again = (shared("POST", f"{project}/tasks", RECORDS["tasks"], key=key) for _ in range(2))
    assert (again.content, again.replayed) == (first.content, True)
    shared.new_record(project, "tasks")
    assert len(shared("GET", f"{flat_path(project)}/tasks?limit=1").body) == 1
    stale = {"If-Match": '"v-7", "f-7-0"'}
    assert shared("PATCH", f"{project}/tasks/{first.body['id']}", {"name": "B"}, headers=stale).status == 412
    flat = f"{flat_path(project)}/tasks/{flat_id(first.body['id'])}"
    assert shared("PUT", flat, {"name": "B", "description": "C"}, headers=stale).status == 412
