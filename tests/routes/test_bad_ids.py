"""A malformed id in a path or a body is refused in its dialect."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.client import World, flat_path

A_V1_ID = "Must be an id that is a UUID, such as 64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1"


@pytest.mark.parametrize(
    "id",
    [
        "x",
        "123e4567",
        "123e4567e89b80008000426614174000",
        "{123e4567-e89b-8000-8000-426614174000}",
        "urn:uuid:123e4567-e89b-8000-8000-426614174000",
        "123e4567-e89b-8000-8000-42661417400g",
        "%00",
        "%2F",
        "..%2F..",
        "%E2%98%83",
        "a%20b",
        "x" * 1000,
        "%ED%A0%80",
        "'%20OR%201=1",
    ],
)
def test_malformed_id_is_refused_in_every_place(shared: World, id: str) -> None:
    def detail(name: str) -> Any:
        return {"loc": ["path", name], "msg": A_V1_ID, "type": "uuid_parsing"}

    good = "123e4567-e89b-8000-8000-426614174000"
    space = shared.projects().split("/")[3]
    assert shared("GET", f"/v1/spaces/{id}/projects").seen == (422, {"detail": [detail("space_id")]})
    assert shared("GET", f"/v1/spaces/{space}/projects/{id}").seen == (422, {"detail": [detail("project_id")]})
    member = f"/v1/spaces/{space}/projects/{good}/members/{id}"
    for method, sent in (("GET", b""), ("DELETE", b""), ("PATCH", json.dumps({"role_id": good}).encode())):
        assert shared(method, member, content=sent or None).seen == (422, {"detail": [detail("member_id")]})
    for method in ("GET", "DELETE"):
        assert shared(method, f"/projects/{id}").seen == (404, {"error": "Project not found."})
    assert shared("PUT", f"/projects/{id}", {}).seen == (404, {"error": "Project not found."})


NO_FLAT_IDS = [
    "64a1f2c3b4e5d6f7a8b9c0d",
    "64a1f2c3b4e5d6f7a8b9c0dg",
    "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1",
    "{64a1f2c3b4e5d6f7a8b9c0d1}",
    "64a1f2c3b4e5d6f7a8b9c0d\uff11",
]


@pytest.mark.parametrize("id", NO_FLAT_IDS)
def test_id_of_another_form_is_refused_with_the_flat_form(shared: World, id: str) -> None:
    project = flat_path(shared.new_project(tenant="globex"))
    task = shared("POST", f"{project}/tasks", {"name": "A", "description": "B", "phase": "business"}, tenant="globex")
    assigned = f"{project}/tasks/{task.body['_id']}/reassign"
    form = "Must be an id of 24 hex digits, such as 64a1f2c3b4e5d6f7a8b9c0d1"
    assert shared("GET", f"/projects/{quote(id)}").seen == (404, {"error": "Project not found."})
    assert shared("POST", f"{project}/team", {"id": id}, tenant="globex").seen == (400, {"error": f"id: {form}"})
    assert shared("PATCH", assigned, {"assignedTo": id}, tenant="globex").seen == (
        400,
        {"error": f"assignedTo: {form}"},
    )


@pytest.mark.parametrize(
    "id",
    [
        "64a1f2c3b4e5d6f7a8b9c0d1",
        "{64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1}",
        "urn:uuid:64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1",
        "64a1f2c3b4e580008000d6f7a8b9c0d1",
    ],
)
def test_id_of_another_form_is_refused_with_the_v1_form(shared: World, id: str) -> None:
    project, role = shared.new_project(tenant="globex"), shared.role("viewer")
    detail = {"msg": A_V1_ID, "type": "uuid_parsing"}
    in_body = shared("POST", f"{project}/members", {"principal_id": id, "role_id": role}, tenant="globex")
    assert in_body.seen == (422, {"detail": [{"loc": ["body", "principal_id"], **detail}]})
    in_path = shared("GET", f"{project}/members/{quote(id)}", tenant="globex")
    assert in_path.seen == (422, {"detail": [{"loc": ["path", "member_id"], **detail}]})


def test_malformed_id_in_a_v1_body_is_422(shared: World) -> None:
    project = shared.new_project(tenant="globex", by="owner")
    options: Any = {"tenant": "globex"}
    wrong = {"msg": A_V1_ID, "type": "uuid_parsing"}
    sent = {"principal_id": "x", "role_id": "y"}
    assert shared("POST", f"{project}/members", sent, **options).seen == (
        422,
        {"detail": [{"loc": ["body", name], **wrong} for name in sent]},
    )
    assert shared("PATCH", project, {"manager_id": "x"}, **options).seen == (
        422,
        {"detail": [{"loc": ["body", "manager_id"], **wrong}]},
    )
