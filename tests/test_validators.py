"""Entity tags and conditional requests, as RFC 9110 has them: of every resource, in both dialects."""

import re
from typing import Any

import pytest

from tests.client import World, flat_path
from tests.test_round_trips import FLAT, WRITES, a_project


@pytest.mark.parametrize("form", ["{}", "{},", ",{}", ' , {} ,, "x"', '"a,b",{}', '"a,{}', 'W/"v-7",\t{}\t'])
def test_a_list_of_tags_is_read_as_http_says(shared: World, form: str) -> None:
    """Empty elements are none, and a comma within quotes is a character."""
    project = shared.new_project()
    tag = shared("GET", project).headers["etag"]
    answer = shared("PATCH", project, {"name": "B"}, headers={"If-Match": form.format(tag)})
    assert answer.status == (422 if form == '"a,{}' else 200)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_tag_of_one_dialect_is_no_version_in_the_other(shared: World, method: str) -> None:
    """Both counters are 1 here."""
    v1 = shared.new_project()
    paths = {"PATCH": v1, "PUT": flat_path(v1)}
    mine = shared("GET", paths.pop(method)).headers["etag"]
    ((other, path),) = paths.items()
    body = FLAT if other == "PUT" else {"name": "B"}
    assert mine == ('"v-1"' if method == "PATCH" else '"f-1"')
    assert shared(other, path, body, headers={"If-Match": mine}).status == 412
    assert shared("DELETE", path, headers={"If-Match": mine}).status == 412
    assert (
        shared(other, path, body, headers={"If-Match": f"{mine}, {shared('GET', path).headers['etag']}"}).status == 200
    )


def test_a_version_never_comes_twice_under_one_address(shared: World) -> None:
    """Who is removed and added again is another membership."""
    project = shared.new_project()
    member = shared.new_member(project, "viewer", "viewer")
    first = shared("GET", member).headers["etag"]
    assert shared("DELETE", member, headers={"If-Match": first}).status == 204
    shared.new_member(project, "viewer", "viewer")
    again = shared("GET", member)
    assert again.headers["etag"] != first
    body = {"role_id": shared.role("contributor")}
    for method in ("PATCH", "DELETE"):
        assert shared(method, member, body, headers={"If-Match": first}).status == 412
    assert shared("GET", member).seen == again.seen
    assert shared("PATCH", member, body, headers={"If-Match": again.headers["etag"]}).status == 200


CREATIONS = [route for route in WRITES if re.search("Create|Add", route)]
NEVER_SHOWN = ["RemoveTeamMember"]


def error(route: str, message: str) -> dict[str, Any]:
    return {"detail" if route.startswith("V1") else "error": message}


@pytest.mark.parametrize("tag", ["*", '"v-1"', '"f-1", "x"'])
@pytest.mark.parametrize("route", CREATIONS)
def test_what_is_not_there_yet_has_no_version_to_match(shared: World, route: str, tag: str) -> None:
    project = a_project(shared)
    method, path, body = WRITES[route](shared, project)
    before = shared("GET", f"{flat_path(project)}/report").body
    refused = shared(method, path, body, headers={"If-Match": tag})
    message = "If-Match names a version, and what is not there yet has none. Leave it out."
    assert refused.seen == (412, error(route, message))
    assert shared("GET", f"{flat_path(project)}/report").body == before
    assert shared(method, path, body).status == 201


@pytest.mark.parametrize("route", [route for route in WRITES if route not in CREATIONS])
def test_every_change_of_what_is_there_takes_a_star_and_refuses_another_version(shared: World, route: str) -> None:
    method, path, body = WRITES[route](shared, a_project(shared))
    stale = "If-Match names another version than the current one. Read it again."
    for tag in ('"v-99"', '"f-99"', '"f-"', '"v-"', '""', 'W/"f-1"'):
        assert shared(method, path, body, headers={"If-Match": tag}).seen == (412, error(route, stale)), tag
    assert shared(method, path, body, headers={"If-Match": "*"}).status in (200, 204)


def test_a_note_has_a_version_to_be_deleted_by(shared: World) -> None:
    task = shared.new_record(shared.new_project(), "tasks")
    notes = f"{flat_path(task)}/notes"
    made = shared("POST", notes, {"content": "Remember"})
    note = f"{notes}/{made.body['_id']}"
    assert made.headers["etag"] == '"f-1"'
    assert shared("DELETE", note, headers={"If-Match": '"f-2"'}).status == 412
    assert shared("DELETE", note, headers={"If-Match": made.headers["etag"]}).status == 200


def test_the_document_offers_if_match_where_an_answer_shows_a_version(shared: World) -> None:
    document = shared("GET", "/openapi.json", by=None).body
    offering = {
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
        if {"$ref": "#/components/parameters/IfMatch"} in operation.get("parameters", [])
    }
    wanted = {
        re.sub(r"(?<!^)(?=[A-Z])", "_", route.removeprefix("V1")).lower()
        for route in WRITES
        if route not in [*CREATIONS, *NEVER_SHOWN]
    }
    assert {operation.removeprefix("v1_") for operation in offering} == wanted
