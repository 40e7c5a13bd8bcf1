"""Every change of a project, a space or a tenant, or below it, raises its sequence by one and leaves its event on META:
the outbox."""

import json
import re
from typing import Any

import pytest

from local.functions import call
from local.template import ROOT, Template
from tests.support.changes import event, require_published_form
from tests.support.client import World, flat_id, flat_path, new_key, v1_id
from tests.support.requests import EVENTS, FLAT, OF_PRINCIPALS, WRITES, a_project
from tools import event_schemas
from tools.event_schemas import SCHEMAS

DOCUMENT = ROOT / "docs" / "events.md"


# The events of functions without a URL, which tests/automation/test_administration.py makes each; and those of a route
# that makes another one, too.
OF_ADMINISTRATION = (
    *("tenant.created", "principal.suspended", "principal.resumed"),
    *("credential.created", "credential.rotated", "credential.revoked"),
    "webhook.disabled",
)
# The creation of a project, or a space, is the first change of a thing of its own; tests/routes/principals and
# tests/routes/credentials are about the events of principals.
CHANGES = {
    route: type
    for route, type in EVENTS.items()
    if type not in ("project.created", "space.created", "webhook.created") and route not in OF_PRINCIPALS
}


def test_every_event_type_has_schema_page_and_route() -> None:
    assert set(EVENTS.values()) | set(OF_ADMINISTRATION) == set(event_schemas.TYPES)
    assert {path.stem for path in SCHEMAS.glob("*.json")} == set(event_schemas.TYPES)
    for type in event_schemas.TYPES:
        committed = json.loads((SCHEMAS / f"{type}.json").read_text())
        assert committed == event_schemas.schema(type), "make generate"


def test_each_event_type_has_a_valid_sample() -> None:
    samples = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)]
    assert [sample["type"] for sample in samples] == list(event_schemas.TYPES)
    for sample in samples:
        require_published_form(sample)


@pytest.mark.parametrize("route", CHANGES)
def test_each_writing_route_raises_the_sequence_by_one_and_leaves_its_event(
    shared: World, template: Template, route: str
) -> None:
    holder = {"tenant_id": shared.dev["tenants"]["acme"]["tenant_id"], "principal_id": shared.uuid("owner")}
    held = call(template.functions["ListCredentials"], holder)["credentials"]
    (credential,) = (each["credential_id"] for each in held if each["kind"] == "token")
    project = a_project(shared)
    method, path, body = WRITES[route](shared, project)
    changed = project if "/projects" in path else path
    before = event(shared, changed)
    key = new_key()
    answer = shared(method, path, body, key=key)
    found = event(shared, changed)
    assert shared(method, path, body, key=key).replayed
    assert event(shared, changed) == found, "a replay is no change"
    require_published_form(found)
    assert found["sequence"] == before["sequence"] + 1
    assert found["id"] != before["id"]
    assert found["type"] == CHANGES[route]
    assert found["actor"] == {
        "principal_id": shared.uuid("owner"),
        "kind": "user",
        "credential_id": credential,
        "issued_by": None,
    }
    assert found["request_id"] == answer.headers["x-request-id"]
    ids = changed.split("/")[3::2]
    named = ("webhook_id",) if "/webhooks/" in changed else ("space_id",)
    root = dict(zip(("space_id", "project_id") if changed == project else named, ids, strict=False))
    told = ("space_id", "project_id", "principal_id", "webhook_id")
    assert {name: id for name, id in found.items() if name in told} == root
    if "/webhooks/" in path:
        assert found["resource"]["id"] == ids[0]
    elif route.startswith("V1") and method != "DELETE":
        # An event names its space once, so the resource of a note does not.
        assert root | found["resource"] == root | answer.body
    elif answer.body and "_id" in answer.body and "Project" not in route and "Member" not in route:
        assert flat_id(found["resource"]["id"]) == answer.body["_id"]


@pytest.mark.parametrize("path", ["/projects", "v1"])
def test_a_new_project_has_sequence_1(shared: World, path: str) -> None:
    body = FLAT if path == "/projects" else {"name": "Apollo"}
    made = shared("POST", path if path == "/projects" else shared.projects(), body).body
    project = f"{shared.projects()}/{v1_id(made['_id']) if '_id' in made else made['id']}"
    found = event(shared, project)
    require_published_form(found)
    assert (found["sequence"], found["type"]) == (1, "project.created")
    assert found["resource"] == shared("GET", project).body


def test_update_event_names_changed_fields(shared: World) -> None:
    project = shared.new_project()
    shared.new_member(project, "viewer", "manager")
    task = shared.new_record(project, "tasks")
    steps: list[tuple[str, str, Any, list[str]]] = [
        ("PATCH", project, {"name": "B", "status": "active"}, ["name"]),
        ("PUT", flat_path(project), FLAT, ["client_name", "description", "name"]),
        ("PATCH", project, {"manager_id": shared.uuid("viewer")}, ["manager_id"]),
        ("PATCH", f"{project}/members/{shared.uuid('owner')}", {"role_id": shared.role("viewer")}, ["role_id"]),
        ("PATCH", task, {"phase": "data_preparation", "name": "B"}, ["name"]),
        ("PATCH", task, {"status": "completed"}, ["completed_by", "finished_at", "started_at", "status"]),
        ("PATCH", f"{flat_path(task)}/completed", {}, ["completed"]),
    ]
    for method, path, body, changed in steps:
        assert shared(method, path, body).status == 200
        assert event(shared, project)["changed"] == changed
