"""The OpenAPI document describes the API: every route, every parameter and field, every answer."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from local.template import ROOT, Template
from tests.support.client import UUID, World
from tests.support.matrix import MATRIX
from tests.support.requests import EVERY_ROUTE, a_project
from tests.support.routes import COMMITTED, routes
from tests.support.world import the_template
from tools.openapi import DOCUMENT
from tools.openapi.answers import ERROR_TYPES
from tools.openapi.texts import FIELDS, PARAMETERS, SCHEMAS

SCHEMAS_OF: dict[str, Any] = COMMITTED["components"]["schemas"]
SENT = {
    content["schema"]["$ref"].rpartition("/")[2]
    for item in COMMITTED["paths"].values()
    for operation in item.values()
    for content in operation.get("requestBody", {}).get("content", {}).values()
}

# By logical id: the routes of the template, and their operations in the committed document.
BEHIND_CREDENTIALS = routes(the_template())
ROUTES = BEHIND_CREDENTIALS | routes(the_template(), public=True)
DESCRIBED: dict[str, Any] = {
    name: COMMITTED["paths"][path][method.lower()]
    for name, (method, path) in ROUTES.items()
    if method.lower() in COMMITTED["paths"].get(path, {})
}


def resolved(item: Any) -> Any:
    """A response, header or parameter, whether it stands there or is referred to."""
    for part in item["$ref"].split("/")[1:] if "$ref" in item else ():
        item = COMMITTED["components"] if part == "components" else item[part]
    return item


@cache
def closed() -> Any:
    """The document's components, whose schemas take no property that they do not name."""
    found = json.loads(json.dumps(COMMITTED["components"]))
    for component in found["schemas"].values():
        if component.get("type") == "object" and "properties" in component:
            component["additionalProperties"] = False
    return found


def validator(schema: Any) -> Draft202012Validator:
    """Judges by a schema of the document and takes no property that it does not name."""
    return Draft202012Validator({**schema, "components": closed()}, format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_document_is_valid_openapi() -> None:
    validate(COMMITTED)


EVENT_SCHEMAS = [json.loads(path.read_text()) for path in sorted((ROOT / "docs" / "events").glob("*.json"))]


def patterns(item: Any) -> Iterator[str]:
    """Every pattern of a schema, at any depth."""
    if isinstance(item, dict):
        if isinstance(found := item.get("pattern"), str):
            yield found
        item = list(item.values())
    if isinstance(item, list):
        for each in item:
            yield from patterns(each)


# Syntax with one meaning in ECMAScript, PCRE, RE2 and Python: ASCII, classes, groups, a class or two hex digits.
READ_BY_ALL = re.compile(r"(?:[\x20-\x5b\x5d-\x7e]|\\[sSdD]|\\x[0-9a-f]{2})+")


@pytest.mark.parametrize("pattern", sorted({*patterns(COMMITTED), *patterns(EVENT_SCHEMAS)}))
def test_patterns_are_valid_in_every_language(pattern: str) -> None:
    re.compile(pattern)
    assert READ_BY_ALL.fullmatch(pattern)
    assert re.search(r"\(\?|[*+?}]\+", pattern) is None


def test_document_has_exactly_the_routes_of_the_template() -> None:
    described = {(method.upper(), path) for path, item in COMMITTED["paths"].items() for method in item}
    assert described == set(ROUTES.values())


def test_operations_are_named_after_their_files(template: Template) -> None:
    for name, operation in DESCRIBED.items():
        folder, _, file = template.functions[name].handler.removesuffix(".handler").rpartition(".")
        assert operation["operationId"] == (f"v1_{file}" if folder == "v1" else file)


def test_no_text_is_unused() -> None:
    text = DOCUMENT.read_text()
    unused = [
        words
        for words in (*FIELDS.values(), *PARAMETERS.values(), *SCHEMAS.values())
        if json.dumps(words, ensure_ascii=False) not in text
    ]
    assert unused == []


def test_every_component_is_one_that_a_route_refers_to() -> None:
    def referred_to(part: Any) -> set[str]:
        return set(re.findall(r'"\$ref": "#/components/([^"]+)"', json.dumps(part)))

    components = {
        f"{kind}/{name}": part
        for kind, parts in COMMITTED["components"].items()
        for name, part in parts.items()
        if kind != "securitySchemes"
    }
    found, left = set[str](), referred_to(COMMITTED["paths"])
    while left:
        found |= left
        left = {name for each in left for name in referred_to(components[each])} - found
    assert set(components) == found


def test_document_has_every_possible_status() -> None:
    for name, route in BEHIND_CREDENTIALS.items():
        assert set(MATRIX[route].values()) <= set(map(int, DESCRIBED[name]["responses"])), name


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("route", EVERY_ROUTE)
def test_answers_match_the_document(shared: World, route: str) -> None:
    """Status, body and headers: all documented ones, and no undocumented header of Atrium."""
    method, path, body = EVERY_ROUTE[route](shared, a_project(shared))
    answer = shared(method, path, body, key=None if method == "GET" else f"described-{route}")
    described = resolved(DESCRIBED[route]["responses"][str(answer.status)])
    if "content" in described:
        validator(described["content"]["application/json"]["schema"]).validate(answer.body)
    else:
        assert answer.content == b""
    promised = {name.lower() for name in described["headers"]}
    always = {name.lower() for name, header in described["headers"].items() if resolved(header).get("required")}
    ours = set(answer.headers) - {"content-type", *(name for name in answer.headers if name.startswith("access-"))}
    assert always <= ours <= promised


def refused(world: World, status: int) -> Iterator[tuple[str, Any]]:
    """Requests that are refused with a status: the route's name and the answer."""
    project = a_project(world)
    for route, request in EVERY_ROUTE.items():
        method, path, body = request(world, project)
        if status in (413, 415) and method in ("GET", "DELETE"):
            continue
        match status:
            case 401:
                yield route, world(method, path, body, by=None)
            case 403:
                yield route, world(method, path, body, by="outsider")
            case 404:
                yield route, world(method, path, body, tenant="globex")
            case 412:
                yield route, world(method, path, body, headers={"If-Match": '"99"'})
            case 413:
                yield route, world(method, path, content=b'"' + b"x" * 300_000 + b'"')
            case 415:
                yield route, world(method, path, content=b"{}", headers={"Content-Type": "text/plain"})
            case 400 | 422:
                yield route, world(method, path, body, key="no key\x7f")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 412, 413, 415, 422])
def test_refusals_match_the_document(shared: World, status: int) -> None:
    found = 0
    for route, answer in refused(shared, status):
        if answer.status == status:
            found += 1
            described = resolved(DESCRIBED[route]["responses"][str(status)])
            validator(described["content"]["application/json"]["schema"]).validate(answer.body)
            for name, header in described["headers"].items():
                assert name.lower() in answer.headers or not resolved(header).get("required"), (route, name)
    assert found


# ---------------------------------------------------------------- generators


def schemas_within(item: Any) -> Iterator[dict[str, Any]]:
    """Every object of a part of the document, the schemas among them."""
    if isinstance(item, dict):
        yield item
    for each in item.values() if isinstance(item, dict) else item if isinstance(item, list) else ():
        yield from schemas_within(each)


def test_objects_without_properties_allow_additional_ones() -> None:
    """Some generators make a type without values of an object that does not allow them."""
    bare = [each for each in schemas_within(COMMITTED) if each.get("type") == "object" and "properties" not in each]
    assert len(bare) == 3
    assert all(each["additionalProperties"] is True for each in bare)


def test_a_change_may_give_every_field_of_what_is_created() -> None:
    """If this fails, a field was added to a `New…` model of api/v1*.py. Add it to the `…Change` model there too, with
    NOT_GIVEN."""

    def without_words(schema: str) -> dict[str, Any]:
        fields = SCHEMAS_OF[schema]["properties"]
        return {name: {key: field[key] for key in field if key != "description"} for name, field in fields.items()}

    changes = [name for name in SCHEMAS_OF if name.endswith("Change") and "minProperties" in SCHEMAS_OF[name]]
    changes.remove("V1TenantChange")  # a function without a URL creates tenants
    changes.remove("V1CredentialChange")  # another credential is issued for more
    assert len(changes) == 8
    for change in changes:
        new, changed = without_words(change.replace("V1", "V1New").removesuffix("Change")), without_words(change)
        assert [name for name in new if new[name] != changed.get(name)] == FOR_GOOD.get(change, []), change


# Fields that no change of the thing itself changes. Who owns a space is changed by changing its members.
FOR_GOOD = {"V1PrincipalChange": ["kind"], "V1SpaceChange": ["owner_id"]}


def test_no_schema_has_a_builtin_type_name() -> None:
    assert {"Error", "Object", "String", "Number", "Date", "Map", "Set", "Promise"} & set(SCHEMAS_OF) == set()


def test_enumerated_fields_list_their_values() -> None:
    properties = {name: SCHEMAS_OF[schema]["properties"][name] for schema, name in FEW_VALUES}
    closed = {name: resolved(each).get("enum", [resolved(each).get("const")]) for name, each in properties.items()}
    roles = ["viewer", "contributor", "manager", "owner"]
    assert closed == {
        "kind": ["user", "service"],
        "role": roles,
        "key": roles,
        "status": ["pending", "onHold", "inProgress", "underReview", "completed"],
        "type": sorted(ERROR_TYPES),
    }


FEW_VALUES = [
    ("V1Me", "kind"),
    ("V1SpaceRole", "role"),
    ("V1Role", "key"),
    ("TaskSummary", "status"),
    ("V1ErrorDetail", "type"),
]


def test_every_request_text_has_a_maximum_length() -> None:
    unbounded = [
        f"{name}.{field}"
        for name, schema in SCHEMAS_OF.items()
        if name in SENT
        for field, each in schema["properties"].items()
        for one in each.get("anyOf", [each])
        if one.get("type") == "string"
        and not {"maxLength", "format", "enum"} & one.keys()
        and "{24}" not in one["pattern"]
    ]
    assert unbounded == []
    key = COMMITTED["components"]["parameters"]["IdempotencyKey"]["schema"]
    assert (key["minLength"], key["maxLength"]) == (1, 255)


def test_optional_parameters_have_no_example() -> None:
    """Swagger UI fills in examples. An example of If-Match would make every update a 412."""
    optional = [
        each for each in schemas_within(COMMITTED) if {"in", "schema"} <= each.keys() and "required" not in each
    ]
    assert len(optional) > 20
    assert [each["name"] for each in optional if {"example", "examples"} & (each.keys() | each["schema"].keys())] == []


def test_document_lists_the_error_types_of_the_code() -> None:
    """Clients that switch on the type of an error need the whole list."""
    found = set()
    for path in (ROOT / "layers/atrium/atrium").rglob("*.py"):
        if path.name in ("provisioning.py", "automation.py", "reactions.py", "tenants.py", "keyring.py"):
            continue  # without a URL
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            place = {"PydanticCustomError": 0, "Detail": 2}.get(getattr(call.func, "id", ""))
            if place is not None and len(call.args) > place and isinstance(call.args[place], ast.Constant):
                found.add(call.args[place].value)  # type: ignore[attr-defined]
    assert len(found) > 10
    assert found - set(ERROR_TYPES) - OF_THE_FLAT_DIALECT == set()


# Its refusals have no word of that kind.
OF_THE_FLAT_DIALECT = {"id", "search"}


def test_every_id_has_a_specific_description() -> None:
    said = [each["description"] for each in schemas_within(COMMITTED) if isinstance(each.get("description"), str)]
    assert len(said) > 500
    assert [each for each in said if re.fullmatch(r"The (\w+'s )?id\.?", each)] == []


# ---------------------------------------------------------------- samples


def samples() -> Iterator[tuple[str, Any, Any]]:
    """Every sample with its schema: where it stands first."""
    for name, operation in DESCRIBED.items():
        for parameter in map(resolved, operation.get("parameters", [])):
            if "example" in parameter:
                yield f"{name} {parameter['name']}", parameter["schema"], parameter["example"]
        answers = [resolved(answer) for answer in operation["responses"].values()]
        for part in [operation.get("requestBody", {}), *answers]:
            for content in part.get("content", {}).values():
                if "example" in content:
                    yield name, content["schema"], content["example"]


def test_every_sample_matches_its_schema() -> None:
    for where, schema, sample in samples():
        problems = [f"{where}: {error.message[:200]}" for error in validator(schema).iter_errors(sample)]
        assert problems == []


FLAT = "64a1f2c3b4e5d6f7a8b9c0"
CHURN = {
    "projectName": "Customer Churn Model",
    "clientName": "Acme Corp",
    "description": "Predict customer churn using historical transaction data.",
}
CHURN_V2 = {
    "projectName": "Customer Churn Model v2",
    "clientName": "Acme Corp",
    "description": "Updated scope to include real-time scoring.",
}
NEW = {"_id": f"{FLAT}d1", **CHURN, "manager": f"{FLAT}d0", "tasks": [], "team": []}
# Where the v1 document has placeholders for ids it has letters that no UUID has.
ID, PERSON, TENANT, OWNER, ROLE = "{id}", "{person}", "{tenant}", "{owner}", "{role}"
SPACE = "123e4567-e89b-12d3-a456-426614174000"
AT = {"created_at": "2025-04-05T10:00:00Z", "updated_at": "2025-04-05T10:00:00Z"}
LATER = {"created_at": "2025-04-05T10:05:00Z", "updated_at": "2025-04-05T10:05:00Z"}
REDESIGN = {
    "name": "Website Redesign Q3",
    "description": {"summary": "Redesign company website for improved UX and SEO"},
}

# The samples of both API documents: the operation, the status of the answer (None for a request), the sample.
IN_THE_DOCUMENTS: list[tuple[str, int | None, Any]] = [
    ("list_projects", 200, [{**NEW, "team": [f"{FLAT}d0"]}]),
    ("create_project", None, CHURN),
    ("create_project", 201, NEW),
    (
        "get_project",
        200,
        {
            **NEW,
            "tasks": [{"_id": f"{FLAT}e1", "name": "Collect raw data", "status": "completed"}],
            "team": [f"{FLAT}d0", f"{FLAT}d2"],
        },
    ),
    ("update_project", None, CHURN_V2),
    ("update_project", 200, {**NEW, **CHURN_V2}),
    ("delete_project", 200, {"message": "Project deleted successfully."}),
    ("v1_create_project", None, REDESIGN),
    (
        "v1_create_project",
        201,
        {"id": ID, "tenant_id": TENANT, "space_id": SPACE, **REDESIGN, "created_by": OWNER, "status": "active", **AT},
    ),
    ("v1_add_member", None, {"principal_id": PERSON, "role_id": ROLE}),
    (
        "v1_add_member",
        201,
        {
            "tenant_id": TENANT,
            "project_id": ID,
            "principal_id": PERSON,
            "role_id": ROLE,
            "status": "active",
            **LATER,
        },
    ),
    (
        "v1_list_projects",
        200,
        {
            "data": [{"id": ID, "name": "Website Redesign Q3", "status": "active", **AT}],
            "meta": {"has_more": False},
        },
    ),
    ("v1_update_project", None, {"description": {"summary": "Updated scope to include mobile optimization"}}),
    ("v1_create_project", 422, {"detail": [{"loc": ["body", "name"], "msg": "Field required", "type": "missing"}]}),
]


def holds(sample: Any, part: Any) -> bool:
    """Whether a sample shows all of a part, with a UUID where that has a placeholder."""
    match part:
        case dict():
            return isinstance(sample, dict) and all(holds(sample.get(name), each) for name, each in part.items())
        case list():
            return len(sample) == len(part) and all(map(holds, sample, part))
        case str() if part.startswith("{"):
            return UUID.fullmatch(sample) is not None
        case _:
            return bool(sample == part)


@pytest.mark.parametrize(("operation", "status", "sample"), IN_THE_DOCUMENTS)
def test_document_has_every_sample_of_the_dialects_documents(operation: str, status: int | None, sample: Any) -> None:
    (found,) = (each for each in DESCRIBED.values() if each["operationId"] == operation)
    part = resolved(found["responses"][str(status)]) if status else found["requestBody"]
    assert holds(part["content"]["application/json"]["example"], sample)
