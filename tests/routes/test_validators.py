"""Entity tags and conditional requests, as RFC 9110 has them: of every resource, in both dialects."""

import re
from typing import Any

import pytest

from local.template import Template
from tests.support.client import World, flat_path
from tests.support.requests import EVERY_ROUTE, FLAT, READS, WRITES, a_project
from tools.routes import routes


@pytest.mark.parametrize("form", ["{}", "{},", ",{}", ' , {} ,, "x"', '"a,b",{}', '"a,{}', 'W/"v-7",\t{}\t'])
def test_list_of_tags_is_parsed_according_to_http(shared: World, form: str) -> None:
    """Empty elements are ignored, and a comma within quotes belongs to the tag."""
    project = shared.new_project()
    tag = shared("GET", project).headers["etag"]
    answer = shared("PATCH", project, {"name": "B"}, headers={"If-Match": form.format(tag)})
    assert answer.status == (422 if form == '"a,{}' else 200)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_etag_of_one_dialect_does_not_match_in_the_other(shared: World, method: str) -> None:
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


def test_etag_never_repeats_under_one_address(shared: World) -> None:
    """A member who is removed and added again has a new membership."""
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
def test_if_match_on_a_creation_is_412(shared: World, route: str, tag: str) -> None:
    project = a_project(shared)
    method, path, body = WRITES[route](shared, project)
    before = shared("GET", f"{flat_path(project)}/report").body
    refused = shared(method, path, body, headers={"If-Match": tag})
    message = "If-Match names a version, and what is not there yet has none. Leave it out."
    assert refused.seen == (412, error(route, message))
    assert shared("GET", f"{flat_path(project)}/report").body == before
    assert shared(method, path, body).status == 201


@pytest.mark.parametrize("route", [route for route in WRITES if route not in CREATIONS])
def test_change_with_if_match_star_succeeds_and_with_another_version_is_412(shared: World, route: str) -> None:
    method, path, body = WRITES[route](shared, a_project(shared))
    stale = "If-Match names another version than the current one. Read it again."
    for tag in ('"v-99"', '"f-99"', '"f-"', '"v-"', '""', 'W/"f-1"'):
        assert shared(method, path, body, headers={"If-Match": tag}).seen == (412, error(route, stale)), tag
    assert shared(method, path, body, headers={"If-Match": "*"}).status in (200, 202, 204)


def test_note_is_deleted_by_its_version(shared: World) -> None:
    task = shared.new_record(shared.new_project(), "tasks")
    notes = f"{flat_path(task)}/notes"
    made = shared("POST", notes, {"content": "Remember"})
    note = f"{notes}/{made.body['_id']}"
    assert made.headers["etag"] == '"f-1"'
    assert shared("DELETE", note, headers={"If-Match": '"f-2"'}).status == 412
    assert shared("DELETE", note, headers={"If-Match": made.headers["etag"]}).status == 200


def test_etag_of_a_task_counts_notes_in_flat_only(shared: World) -> None:
    """Flat shows a task with its notes."""
    task = shared.new_record(shared.new_project(), "tasks")
    flat = flat_path(task)

    def tags() -> tuple[str, str]:
        return shared("GET", flat).headers["etag"], shared("GET", task).headers["etag"]

    assert tags() == ('"f-1-0"', '"v-1"')
    note = shared.new_note(task)
    assert tags() == ('"f-1-1"', '"v-1"')
    body = {"name": "B", "description": "C"}
    for method, path, sent in (
        ("PUT", flat, body),
        ("POST", f"{flat}/status", {"status": "completed"}),
        ("PATCH", f"{flat}/phase", {"phase": "business"}),
        ("PATCH", f"{flat}/completed", {}),
        ("PATCH", f"{flat}/reassign", {"assignedTo": shared.id("owner")}),
        ("DELETE", flat, None),
    ):
        assert shared(method, path, sent, headers={"If-Match": '"f-1-0"'}).status == 412
    assert shared("PATCH", task, {"name": "A"}, headers={"If-Match": '"v-1"'}).headers["etag"] == '"v-2"'
    assert shared("PUT", flat, body, headers={"If-Match": '"f-2-1"'}).headers["etag"] == '"f-3-1"'
    assert shared("GET", flat, headers={"If-None-Match": '"f-3-1"'}).status == 304
    assert shared("DELETE", note).status == 200
    assert tags() == ('"f-3-2"', '"v-3"')
    assert "note_changes" not in shared("GET", task).body
    assert shared("DELETE", flat, headers={"If-Match": '"f-3-2"'}).status == 200


def test_document_has_if_match_on_routes_with_an_etag(shared: World) -> None:
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


# ---------------------------------------------------------------- matching If-None-Match

# Routes that show a single resource, and so its version.
SINGLE = ["GetProject", "GetTask", *(route for route in READS if route.startswith("V1Get"))]


WITHOUT_VERSION = (
    "The answer shows a single resource, but has no ETag, or a wrong one. Let the view's `of` give the resource's "
    "version to `View.show`, as ProjectView does; or a hash of the view if nothing counts versions, as SpaceView does."
)


@pytest.mark.parametrize("route", SINGLE)
def test_matching_if_none_match_is_304(shared: World, route: str) -> None:
    method, path, _ = EVERY_ROUTE[route](shared, a_project(shared))
    first = shared(method, path)
    etag = first.headers.get("etag", "")
    assert re.fullmatch(r'"[fv]-[0-9a-f-]+"', etag), WITHOUT_VERSION
    for known in (etag, f"W/{etag}", "*", f'"a,b",, W/{etag},', f'"other"\t,{etag}'):
        again = shared(method, path, headers={"If-None-Match": known})
        assert (again.status, again.content) == (304, b""), known
        kept = set(first.headers) - {"content-type", "content-length", "date", "link"}
        assert {name: again.headers[name] for name in kept - {"x-request-id"}} == {
            name: first.headers[name] for name in kept - {"x-request-id"}
        }
        assert again.headers["x-request-id"] != first.headers["x-request-id"]
        assert "content-type" not in again.headers
    other = etag.replace("f-", "V-").replace("v-", "f-").replace("V-", "v-")
    for unknown in ('"other"', other, etag.strip('"'), f'"{etag}', '"*"', ""):
        full = shared(method, path, headers={"If-None-Match": unknown})
        assert (full.seen, full.headers["etag"]) == (first.seen, etag), unknown


@pytest.mark.parametrize("route", READS)
def test_only_a_single_resource_has_a_version(shared: World, route: str) -> None:
    method, path, body = EVERY_ROUTE[route](shared, a_project(shared))
    answer = shared(method, path, body, headers={"If-None-Match": '"v-1", "f-1"'})
    assert answer.status in ((200, 304) if route in SINGLE else (200,))
    assert ("etag" in answer.headers) == (route in SINGLE), WITHOUT_VERSION if route in SINGLE else None


def test_if_none_match_without_permission_is_refused(shared: World) -> None:
    path = shared.new_project()
    known = {"If-None-Match": "*"}
    assert shared("GET", path, by="outsider", headers=known).status == 403
    assert shared("GET", path, tenant="globex", headers=known).status == 404


@pytest.mark.parametrize("route", [route for route in WRITES if route not in CREATIONS])
def test_write_with_a_matching_if_none_match_is_412(shared: World, route: str) -> None:
    method, path, body = WRITES[route](shared, a_project(shared))
    refused = shared(method, path, body, headers={"If-None-Match": "*"})
    assert refused.seen == (412, error(route, "If-None-Match names the current version."))
    other = {"If-Match": "*", "If-None-Match": '"x", "v-99", W/"f-99"'}
    assert shared(method, path, body, headers=other).status in (200, 202, 204)


def test_if_none_match_compares_weakly_with_a_write_too(shared: World) -> None:
    project = shared.new_project()
    for tag in ('"v-1"', 'W/"v-1"', '"x", W/"v-1"'):
        assert shared("PATCH", project, {"name": "B"}, headers={"If-None-Match": tag}).status == 412
    assert shared("PATCH", project, {"name": "B"}, headers={"If-None-Match": '"f-1"'}).status == 200


def test_creation_with_if_none_match_star_succeeds(shared: World) -> None:
    made = shared("POST", shared.projects(), {"name": "Apollo"}, headers={"If-None-Match": "*"})
    assert made.status == 201


# ---------------------------------------------------------------- where it is, and who may keep it


@pytest.mark.parametrize("route", CREATIONS)
def test_creation_has_a_location(shared: World, route: str) -> None:
    """The replay has it too. The location has no query of the request."""
    method, path, body = WRITES[route](shared, a_project(shared))
    query = "" if route.startswith("V1") else "?x=1"
    first, again = (shared(method, f"{path}{query}", body, key=f"located-{route}") for _ in range(2))
    assert again.replayed
    location = first.headers["location"]
    assert again.headers["location"] == location
    found = re.sub(r"^https?://[^/]+", "", location)
    assert found != location
    id = first.body.get("principal_id") or first.body.get("_id") or first.body["id"]
    assert found == f"{path}/{id}"
    assert "Location" in first.headers["access-control-expose-headers"].split(", ")
    (list_path,) = (each.path for each in routes() if each.name == route)
    there = {each.method for each in routes() if re.fullmatch(re.escape(list_path) + r"/\{\w+\}", each.path)}
    if "GET" in there:
        shown = shared("GET", found)
        assert (shown.status, shown.headers["etag"]) == (200, first.headers["etag"])
    elif "DELETE" in there:
        assert shared("DELETE", found).status == (204 if route.startswith("V1") else 200)


def test_only_creations_have_a_location(shared: World) -> None:
    project = shared.new_project()
    for method, path, body in (("GET", project, None), ("PATCH", project, {"name": "B"}), ("DELETE", project, None)):
        assert "location" not in shared(method, path, body).headers


def test_answers_to_credentials_are_not_cached(shared: World) -> None:
    project = shared.new_project()
    member = {"principal_id": shared.uuid("viewer"), "role_id": shared.role("viewer")}
    answers = [
        shared("GET", project),
        shared("GET", project, headers={"If-None-Match": "*"}),
        shared("GET", flat_path(project)),
        shared("POST", f"{project}/members", member),
        shared("POST", f"{project}/members", member),
        shared("PATCH", project, {}),
        shared("PATCH", project, {"name": "B"}, headers={"If-Match": '"x"'}),
        shared("GET", project, by="outsider"),
        shared("GET", project, by=None),
        shared("GET", "/nothing"),
        shared("DELETE", project),
        shared("GET", project),
    ]
    statuses = [200, 304, 200, 201, 409, 422, 412, 403, 401, 404, 204, 404]
    assert [answer.status for answer in answers] == statuses
    assert {answer.headers["cache-control"] for answer in answers} == {"private, no-store"}
    assert shared("GET", "/docs", by=None).headers["cache-control"] == "no-cache"


def test_gateway_responses_are_not_cached(template: Template) -> None:
    responses = template.api["x-amazon-apigateway-gateway-responses"]
    assert len(responses) > 10
    for kind, response in responses.items():
        kept = response["responseParameters"]["gatewayresponse.header.Cache-Control"]
        assert kept == "'private, no-store'", kind
