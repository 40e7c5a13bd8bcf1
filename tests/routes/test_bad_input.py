"""Whatever a client sends is answered in its dialect, with a reason, and writes nothing."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.client import Answer, World, flat_path
from tests.support.requests import FLAT, PAGED, READS, WRITES, a_project

LONG = "x" * 201
A_V1_ID = "Must be an id that is a UUID, such as 64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1"
DEEP = '{"a":' * 40 + "1" + "}" * 40


def body(**changes: Any) -> bytes:
    """A v1 project that would be accepted but for the changes."""
    return json.dumps({"name": "Apollo", "description": None, **changes}).encode()


def flat(**changes: Any) -> bytes:
    return json.dumps({**FLAT, **changes}).encode()


# What is sent, and the v1 detail it is answered with: loc, msg, type. The flat dialect says the same in one line.
Body = tuple[bytes, tuple[list[str], str, str]]

NOT_JSON = "json_invalid"
V1_BODIES: dict[str, Body] = {
    "no body": (b"", (["body"], "Field required", "missing")),
    "missing": (b"{}", (["body", "name"], "Field required", "missing")),
    "null": (body(name=None), (["body", "name"], "Input should be a valid string", "string_type")),
    "empty": (body(name=""), (["body", "name"], "Must not be empty", "string_too_short")),
    "blank": (body(name=" \u2003"), (["body", "name"], "Must not be empty", "string_too_short")),
    "over-long": (body(name=LONG), (["body", "name"], "Must have at most 200 characters", "string_too_long")),
    "a number for text": (body(name=1), (["body", "name"], "Input should be a valid string", "string_type")),
    "an array for text": (body(name=["a"]), (["body", "name"], "Input should be a valid string", "string_type")),
    "a line break in a name": (
        body(name="a\nb"),
        (["body", "name"], "Must not hold line breaks, control or bidirectional characters", "string_control"),
    ),
    "a bidi override in a name": (
        body(name="a\u202eb"),
        (["body", "name"], "Must not hold line breaks, control or bidirectional characters", "string_control"),
    ),
    "unknown field": (
        body(colour="red"),
        (["body", "colour"], "Unknown field. Known: description, name", "extra_forbidden"),
    ),
    "a description of the wrong type": (
        body(description=[1]),
        (["body", "description"], "Must be an object, a string or null", "description_type"),
    ),
    "a description over 32 KB": (
        body(description="x" * 32_767),
        (["body", "description"], "Must have at most 32 KB as JSON", "too_long"),
    ),
    "not JSON": (b'{"name":', (["body"], "Invalid JSON at character 8: Expecting value", NOT_JSON)),
    "an array": (b'[{"name":"a"}]', (["body"], "Must be a JSON object", "object_type")),
    "a string": (b'"name"', (["body"], "Must be a JSON object", "object_type")),
    "duplicate keys": (
        b'{"name":"a","name":"b"}',
        (["body"], "A key stands twice in an object", NOT_JSON),
    ),
    "duplicate keys below": (
        b'{"name":"a","description":{"a":1,"a":2}}',
        (["body"], "A key stands twice in an object", NOT_JSON),
    ),
    "NaN": (b'{"name":"a","description":{"a":NaN}}', (["body"], "NaN and Infinity are not JSON", NOT_JSON)),
    "Infinity": (b'{"name":"a","description":{"a":-Infinity}}', (["body"], "NaN and Infinity are not JSON", NOT_JSON)),
    "a number beyond the range": (
        b'{"name":"a","description":{"a":1e400}}',
        (["body"], "Numbers may be from 1E-130 to under 1E126", NOT_JSON),
    ),
    "a number with an absurd exponent": (
        b'{"name":"a","description":{"a":1e99999999999999999999}}',
        (["body"], "Numbers may be from 1E-130 to under 1E126", NOT_JSON),
    ),
    "a number of 39 digits": (
        b'{"name":"a","description":{"a":' + b"1" * 39 + b"}}",
        (["body"], "Numbers may have at most 38 digits", NOT_JSON),
    ),
    "a number of 5,000 digits": (
        b'{"name":"a","description":{"a":' + b"1" * 5000 + b"}}",
        (["body"], "Numbers may have at most 38 digits", NOT_JSON),
    ),
    "NUL": (
        b'{"name":"a\\u0000"}',
        (["body"], "Text may not hold control characters or lone surrogates", NOT_JSON),
    ),
    "a control character": (
        b'{"name":"a","description":"\\u0007"}',
        (["body"], "Text may not hold control characters or lone surrogates", NOT_JSON),
    ),
    "a raw control character": (
        b'{"name":"a\x07"}',
        (["body"], "Invalid JSON at character 10: Invalid control character at", NOT_JSON),
    ),
    "a lone surrogate": (
        b'{"name":"\\ud800"}',
        (["body"], "Text may not hold control characters or lone surrogates", NOT_JSON),
    ),
    "a lone surrogate in a key": (
        b'{"name":"a","description":{"\\udfff":1}}',
        (["body"], "Text may not hold control characters or lone surrogates", NOT_JSON),
    ),
    "40 levels": (
        b'{"name":"a","description":' + DEEP.encode() + b"}",
        (["body"], "JSON may be nested at most 32 levels deep", NOT_JSON),
    ),
    "100,000 levels": (b"[" * 100_000, (["body"], "JSON may be nested at most 32 levels deep", NOT_JSON)),
    "not UTF-8": (b'{"name":"\xff"}', (["body"], "Must be UTF-8", NOT_JSON)),
    "UTF-16": ('{"name":"a"}'.encode("utf-16"), (["body"], "Must be UTF-8", NOT_JSON)),
    "a byte order mark": (
        b'\xef\xbb\xbf{"name":"a"}',
        (["body"], "Invalid JSON at character 0: Unexpected UTF-8 BOM (decode using utf-8-sig)", NOT_JSON),
    ),
}


@pytest.mark.parametrize("kind", V1_BODIES)
def test_v1_refuses_a_bad_body(shared: World, kind: str) -> None:
    sent, (loc, msg, type) = V1_BODIES[kind]
    refused = (422, {"detail": [{"loc": loc, "msg": msg, "type": type}]})
    assert shared("POST", shared.projects(), content=sent).seen == refused
    assert shared("GET", "/projects").body == []


@pytest.mark.parametrize("kind", [kind for kind, (_, (loc, *_)) in V1_BODIES.items() if loc == ["body"]])
def test_flat_refuses_a_bad_body(shared: World, kind: str) -> None:
    sent, (_, msg, _) = V1_BODIES[kind]
    assert shared("POST", "/projects", content=sent).seen == (400, {"error": f"body: {msg}"})
    assert shared("GET", "/projects").body == []


FLAT_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "empty": ({"projectName": ""}, "projectName: Must not be empty"),
    "blank": ({"clientName": "  "}, "clientName: Must not be empty"),
    "an empty description": ({"description": " "}, "description: Must not be empty"),
    "over-long": ({"projectName": LONG}, "projectName: Must have at most 200 characters"),
    "an over-long description": (
        {"description": "x" * 10_001},
        "description: String should have at most 10000 characters",
    ),
    "a number": ({"projectName": 1}, "projectName: Input should be a valid string"),
    "null": ({"description": None}, "description: Input should be a valid string"),
    "an object": ({"description": {"summary": "x"}}, "description: Input should be a valid string"),
    "two at once": (
        {"projectName": "", "clientName": 1},
        "projectName: Must not be empty; clientName: Input should be a valid string",
    ),
}


@pytest.mark.parametrize("kind", FLAT_FIELDS)
def test_flat_refuses_a_bad_field(shared: World, kind: str) -> None:
    changes, error = FLAT_FIELDS[kind]
    assert shared("POST", "/projects", content=flat(**changes)).seen == (400, {"error": error})
    assert shared("GET", "/projects").body == []


def test_flat_put_refuses_what_it_could_not_create(world: World) -> None:
    path = f"/projects/{world('POST', '/projects', FLAT).body['_id']}"
    before = world("GET", path)
    for changes, error in (
        ({"projectName": ""}, "projectName: Must not be empty"),
        ({"clientName": " "}, "clientName: Must not be empty"),
        ({"clientName": LONG}, "clientName: Must have at most 200 characters"),
        ({"clientName": "a\u0000b"}, "body: Text may not hold control characters or lone surrogates"),
        ({"clientName": "a\nb"}, "clientName: Must not hold line breaks, control or bidirectional characters"),
        ({"description": ""}, "description: Must not be empty"),
        ({"description": "x" * 10_001}, "description: Must have at most 10000 characters"),
    ):
        assert world("PUT", path, content=flat(**changes)).seen == (400, {"error": error})
    assert world("GET", path).seen == before.seen


def test_flat_ignores_unknown_fields_so_a_client_may_put_back_what_it_got(world: World) -> None:
    created = world("POST", "/projects", {**FLAT, "manager": "me", "team": ["you"]}).body
    assert created["team"] == []
    path = f"/projects/{created['_id']}"
    assert world("PUT", path, world("GET", path).body).seen == (200, created)


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
def test_a_malformed_id_is_refused_in_every_place(shared: World, id: str) -> None:
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
def test_an_id_of_another_form_is_refused_with_the_form_that_flat_has(shared: World, id: str) -> None:
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
def test_an_id_of_another_form_is_refused_with_the_form_that_v1_has(shared: World, id: str) -> None:
    project, role = shared.new_project(tenant="globex"), shared.role("viewer")
    detail = {"msg": A_V1_ID, "type": "uuid_parsing"}
    in_body = shared("POST", f"{project}/members", {"principal_id": id, "role_id": role}, tenant="globex")
    assert in_body.seen == (422, {"detail": [{"loc": ["body", "principal_id"], **detail}]})
    in_path = shared("GET", f"{project}/members/{quote(id)}", tenant="globex")
    assert in_path.seen == (422, {"detail": [{"loc": ["path", "member_id"], **detail}]})


def test_ids_in_v1_bodies_are_checked_like_those_in_paths(shared: World) -> None:
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


def test_an_empty_or_null_patch_is_refused(shared: World) -> None:
    project = shared.new_project(tenant="globex")
    options: Any = {"tenant": "globex"}
    empty = {"loc": ["body"], "msg": "Give at least one field to change", "type": "missing"}
    assert shared("PATCH", project, {}, **options).seen == (422, {"detail": [empty]})
    for field in ("name", "status", "manager_id"):
        refused = shared("PATCH", project, {field: None}, **options)
        assert (refused.status, refused.body["detail"][0]["loc"]) == (422, ["body", field])
    status = {
        "loc": ["body", "status"],
        "msg": "Input should be 'active' or 'archived'",
        "type": "literal_error",
    }
    assert shared("PATCH", project, {"status": "gone"}, **options).seen == (422, {"detail": [status]})
    assert shared("PATCH", project, {"description": None}, **options).status == 200


@pytest.mark.parametrize(
    "limit", ["0", "101", "1001", "00001", "-1", "x", "1.5", "1e1", "", "+5", " 5", "1_0", "٣", "9" * 30]
)
def test_a_bad_limit_is_refused(shared: World, limit: str) -> None:
    refused = shared("GET", f"{shared.projects()}?limit={limit.replace('+', '%2B').replace(' ', '%20')}")
    told = {"loc": ["query", "limit"], "msg": "Must be a whole number from 1 to 100", "type": "limit"}
    assert refused.seen == (422, {"detail": [told]})
    if limit != "101":
        flat = shared("GET", f"/projects?limit={limit.replace('+', '%2B').replace(' ', '%20')}")
        assert flat.seen == (400, {"error": "limit: Must be a whole number from 1 to 1000"})


@pytest.mark.parametrize("cursor", ["x", "", "AAAA", "%00", "A" * 22, "é", "=" * 22, "Z" * 5000, "a b"])
def test_a_bad_cursor_is_refused(shared: World, cursor: str) -> None:
    refused = {
        "loc": ["query", "cursor"],
        "msg": "Must be the next_cursor of a page of this list, unchanged",
        "type": "cursor",
    }
    quoted = cursor.replace(" ", "%20")
    assert shared("GET", f"{shared.projects()}?cursor={quoted}").seen == (422, {"detail": [refused]})
    flat = shared("GET", f"/projects?cursor={quoted}")
    assert flat.seen == (400, {"error": "cursor: Must be the cursor of a Link header of this list, unchanged"})


@pytest.mark.parametrize(
    "tag", ["1", "x", '"v-1', "'v-1'", '"v-1" "v-2"', '"v-1",x', "W/1", '*, "v-1"', "*,", "", " ", ",", " , ,"]
)
def test_a_bad_if_match_is_refused(shared: World, tag: str) -> None:
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


def test_if_match_holds_the_version_of_each_dialect(world: World) -> None:
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
def test_another_content_type_is_refused(shared: World, kind: str) -> None:
    message = "Send the body as Content-Type: application/json, in UTF-8."
    headers = {"Content-Type": kind}
    assert shared("POST", shared.projects(), content=body(), headers=headers).seen == (415, {"detail": message})
    assert shared("POST", "/projects", content=flat(), headers=headers).seen == (415, {"error": message})
    assert shared("GET", "/projects").body == []


OURS = ("application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"')


@pytest.mark.parametrize("kind", OURS)
def test_json_in_utf_8_may_be_said_in_several_ways(shared: World, kind: str) -> None:
    path = shared.projects(tenant="globex")
    answer = shared("POST", path, content=body(), headers={"Content-Type": kind}, tenant="globex")
    assert answer.status == 201


def test_a_body_over_256_kb_is_refused_and_one_of_that_size_is_read(shared: World) -> None:
    message = "The body may have at most 256 KB."
    sent = body(name="x" * 256 * 1024)
    assert shared("POST", shared.projects(), content=sent).seen == (413, {"detail": message})
    assert shared("POST", "/projects", content=sent).seen == (413, {"error": message})
    padded = body(name="") + b" " * (256 * 1024 - len(body(name="")))
    assert shared("POST", shared.projects(), content=padded).status == 422
    assert shared("POST", shared.projects(), content=padded + b" ").status == 413


def test_nothing_submitted_is_echoed(shared: World) -> None:
    marker = "s3cr3t-marker"
    for sent in (
        body(name={marker: marker}),
        body(description=[marker]),
        json.dumps({"name": "a", f"<{marker}>": 1}).encode(),
        f'{{"name": "{marker}'.encode(),
        f'{{"name": "a", "status": "{marker}"}}'.encode(),
    ):
        for method, path in (("POST", shared.projects()), ("POST", "/projects")):
            answer = shared(method, path, content=sent)
            assert answer.status in (400, 422)
            assert marker.encode() not in answer.content
    for path in (f"/projects?limit={marker}", f"{shared.projects()}?status={marker}", f"/v1/spaces/{marker}/projects"):
        answer = shared("GET", path)
        assert answer.status in (400, 422)
        assert marker.encode() not in answer.content


def test_a_refusal_tells_twenty_things_that_are_wrong_at_most(shared: World) -> None:
    """Or a body of 256 KB would be answered with three megabytes."""
    sent = body(**{f"unknown{number}": 1 for number in range(5_000)})
    refused = shared("POST", shared.projects(), content=sent)
    assert refused.status == 422
    assert [item["loc"] for item in refused.body["detail"]] == [["body", f"unknown{number}"] for number in range(20)]


def test_a_flat_client_may_put_back_what_a_v1_client_left(world: World) -> None:
    """What equals the stored value is accepted, also where it could not be new."""
    for description in (None, "x" * 20_000, {"summary": "x" * 20_000}, {"other": 1}, {"summary": 5}, ""):
        created = world("POST", world.projects(), {"name": "A", "description": description}).body
        path = flat_path(f"{world.projects()}/{created['id']}")
        shown = world("GET", path).body
        assert shown["clientName"] == ""
        assert world("PUT", path, shown).seen == (200, shown)
        after = world("GET", f"{world.projects()}/{created['id']}").body
        assert after["description"] == description


# ---------------------------------------------------------------- every route

BROKEN = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b'{"name":"a","name":"b"}',
    b'{"a":"\xff"}',
    b'{"name":"\\ud800"}',
    b'{"a":NaN}',
]


@pytest.mark.parametrize("route", [name for name in WRITES if "Delete" not in name and "Remove" not in name])
def test_no_route_takes_a_broken_body(shared: World, route: str) -> None:
    project = a_project(shared)
    method, path, good = WRITES[route](shared, project)
    before = shared("GET", f"{flat_path(project)}/report").body
    refused = 422 if path.startswith("/v1") else 400
    for content in BROKEN[1:] if good == {} else BROKEN:
        answer = shared(method, path, content=content, headers={"Content-Type": "application/json"})
        assert answer.status == refused, content
        assert set(answer.body) == ({"detail"} if refused == 422 else {"error"})
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"):
        assert shared(method, path, content=b"{}", headers={"Content-Type": media_type}).status == 415
    assert shared(method, path, content=b'{"x":"%s"}' % (b"x" * 262_144)).status == 413
    assert shared("GET", f"{flat_path(project)}/report").body == before


@pytest.mark.parametrize("route", PAGED)
def test_no_list_takes_a_bad_limit_cursor_or_phase(shared: World, route: str) -> None:
    _, path, _ = READS[route](shared, a_project(shared))
    refused = 422 if path.startswith("/v1") else 400
    for query in ("limit=0", "limit=1001", "limit=x", "limit=+5", "cursor=x", "cursor=", "cursor=%00"):
        assert shared("GET", f"{path}?{query}").status == refused, query
    if route.endswith(("Datasets", "Experiments", "Decisions")) or route == "V1ListTasks":
        for query in ("phase=", "phase=Business", "phase=%00"):
            assert shared("GET", f"{path}?{query}").status == refused, query
