"""A wrong body of a project is refused with a reason, and writes nothing."""

from typing import Any

import pytest

from tests.support.bodies import body, flat
from tests.support.client import World, flat_path
from tests.support.requests import FLAT

LONG = "x" * 201
DEEP = '{"a":' * 40 + "1" + "}" * 40
# The body, and the detail of the v1 answer: loc, msg, type. The flat dialect joins them in one line.
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
def test_bad_body_is_422_in_v1(shared: World, kind: str) -> None:
    sent, (loc, msg, type) = V1_BODIES[kind]
    refused = (422, {"detail": [{"loc": loc, "msg": msg, "type": type}]})
    assert shared("POST", shared.projects(), content=sent).seen == refused
    assert shared("GET", "/projects").body == []


@pytest.mark.parametrize("kind", [kind for kind, (_, (loc, *_)) in V1_BODIES.items() if loc == ["body"]])
def test_bad_body_is_400_in_flat(shared: World, kind: str) -> None:
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
def test_bad_field_is_400_in_flat(shared: World, kind: str) -> None:
    changes, error = FLAT_FIELDS[kind]
    assert shared("POST", "/projects", content=flat(**changes)).seen == (400, {"error": error})
    assert shared("GET", "/projects").body == []


def test_flat_put_with_a_bad_field_is_400(world: World) -> None:
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


def test_flat_put_of_the_answer_with_unknown_fields_succeeds(world: World) -> None:
    created = world("POST", "/projects", {**FLAT, "manager": "me", "team": ["you"]}).body
    assert created["team"] == []
    path = f"/projects/{created['_id']}"
    assert world("PUT", path, world("GET", path).body).seen == (200, created)


def test_empty_or_null_patch_is_422(shared: World) -> None:
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


def test_refusal_lists_at_most_twenty_errors(shared: World) -> None:
    """Without the limit, the answer to a body of 256 KB would have three megabytes."""
    sent = body(**{f"unknown{number}": 1 for number in range(5_000)})
    refused = shared("POST", shared.projects(), content=sent)
    assert refused.status == 422
    assert [item["loc"] for item in refused.body["detail"]] == [["body", f"unknown{number}"] for number in range(20)]


def test_flat_put_of_unchanged_v1_values_succeeds(world: World) -> None:
    """A value equal to the stored one is accepted, even if it were refused as a new one."""
    for description in (None, "x" * 20_000, {"summary": "x" * 20_000}, {"other": 1}, {"summary": 5}, ""):
        created = world("POST", world.projects(), {"name": "A", "description": description}).body
        path = flat_path(f"{world.projects()}/{created['id']}")
        shown = world("GET", path).body
        assert shown["clientName"] == ""
        assert world("PUT", path, shown).seen == (200, shown)
        after = world("GET", f"{world.projects()}/{created['id']}").body
        assert after["description"] == description
