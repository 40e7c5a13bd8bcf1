"""If-Match, Content-Type and the size of a body."""

from typing import Any

import pytest

from tests.support.bodies import body, flat
from tests.support.client import Answer, World, flat_path
from tests.support.requests import FLAT


@pytest.mark.parametrize(
    "tag", ["1", "x", '"v-1', "'v-1'", '"v-1" "v-2"', '"v-1",x', "W/1", '*, "v-1"', "*,", "", " ", ",", " , ,"]
)
def test_malformed_if_match_is_refused(shared: World, tag: str) -> None:
    project = shared.new_project(tenant="globex")
    options: Any = {"tenant": "globex", "headers": {"If-Match": tag}}
    detail = {
        "loc": ["header", "If-Match"],
        "msg": "Must be * or a list of entity tags in quotes",
        "type": "if_match",
    }
    assert shared("PATCH", project, {"name": "B"}, **options).seen == (422, {"detail": [detail]})
    flat = shared("PUT", flat_path(project), FLAT, **options)
    assert flat.seen == (400, {"error": f"If-Match: {detail['msg']}"})


def test_if_match_with_another_version_is_412_in_both_dialects(world: World) -> None:
    project = world.new_project()
    stale = "If-Match names another version than the current one. Read it again."

    def patch(name: str, tag: str) -> Answer:
        return world("PATCH", project, {"name": name}, headers={"If-Match": tag})

    assert patch("B", '"v-1"').headers["etag"] == '"v-2"'
    assert patch("C", '"v-1"').seen == (412, {"detail": stale})
    for tag in ('W/"v-2"', '"*"', '"v-*"', '"2"', '"v-2-"', '"V-2"'):
        assert patch("C", tag).status == 412, tag
    assert patch("C", '"v-1", "v-2"').headers["etag"] == '"v-3"'
    assert patch("D", "*").headers["etag"] == '"v-4"'
    member = world.new_member(project, "viewer", "viewer")
    assert world("GET", project).headers["etag"] == '"v-4"', "a member is not the project's own field"
    flat = flat_path(project)
    tag = world("GET", flat).headers["etag"]
    assert tag == '"f-5"', "but it is in the flat body"
    put = {**FLAT, "clientName": "Acme"}
    assert world("PUT", flat, put, headers={"If-Match": '"f-4"'}).seen == (412, {"error": stale})
    assert world("PUT", flat, put, headers={"If-Match": tag}).headers["etag"] == '"f-6"'
    role = {"role_id": world.role("contributor")}
    first = world("GET", member).headers["etag"]
    other = first.replace('-1"', '-2"')
    assert world("PATCH", member, role, headers={"If-Match": other}).seen == (412, {"detail": stale})
    assert world("PATCH", member, role, headers={"If-Match": first}).headers["etag"] == other
    assert world("DELETE", member, headers={"If-Match": first}).status == 412
    assert world("DELETE", member, headers={"If-Match": other}).status == 204
    assert world("DELETE", flat, headers={"If-Match": tag}).seen == (412, {"error": stale})
    assert world("DELETE", project, headers={"If-Match": '"v-1"'}).seen == (412, {"detail": stale})
    assert world("DELETE", project, headers={"If-Match": world("GET", project).headers["etag"]}).status == 204


NOT_OURS = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json; charset=x",
)


@pytest.mark.parametrize("kind", NOT_OURS)
def test_other_content_type_is_415(shared: World, kind: str) -> None:
    message = "Send the body as Content-Type: application/json, in UTF-8."
    headers = {"Content-Type": kind}
    assert shared("POST", shared.projects(), content=body(), headers=headers).seen == (415, {"detail": message})
    assert shared("POST", "/projects", content=flat(), headers=headers).seen == (415, {"error": message})
    assert shared("GET", "/projects").body == []


OURS = ("application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"')


@pytest.mark.parametrize("kind", OURS)
def test_json_content_type_in_several_spellings_is_accepted(shared: World, kind: str) -> None:
    path = shared.projects(tenant="globex")
    answer = shared("POST", path, content=body(), headers={"Content-Type": kind}, tenant="globex")
    assert answer.status == 201


def test_body_of_256_kb_is_read_and_a_larger_one_is_413(shared: World) -> None:
    message = "The body may have at most 256 KB."
    sent = body(name="x" * 256 * 1024)
    assert shared("POST", shared.projects(), content=sent).seen == (413, {"detail": message})
    assert shared("POST", "/projects", content=sent).seen == (413, {"error": message})
    padded = body(name="") + b" " * (256 * 1024 - len(body(name="")))
    assert shared("POST", shared.projects(), content=padded).status == 422
    assert shared("POST", shared.projects(), content=padded + b" ").status == 413
