"""The OpenAPI document as a whole."""

import re
import tomllib
import warnings
from collections.abc import Mapping
from typing import Any, get_args

from pydantic.json_schema import PydanticJsonSchemaWarning

from local.template import ROOT, Template
from tools.openapi import Json
from tools.openapi.answers import CREDENTIALS, ERRORS, HEADERS, PARAMETERS, of_dialects, of_gateway, table_of_codes
from tools.openapi.operations import Operation
from tools.openapi.schemas import ENUMS, OBJECT
from tools.openapi.texts import INFO, SCHEMAS
from tools.routes import GROUPS, routes


def document() -> Json:
    """The OpenAPI document."""
    # A default that is JSON text stands in no schema, and needs not.
    warnings.simplefilter("ignore", PydanticJsonSchemaWarning)
    template = Template()
    paths: Json = {}
    described = {"V1ProjectDescription": {"description": SCHEMAS["ProjectDescription"], **OBJECT}}
    schemas = (
        ERRORS | described | {name: {"type": "string", "enum": list(get_args(each))} for name, each in ENUMS.items()}
    )
    operations = [Operation(route) for route in routes()]
    shown = {route.group for route in routes()}
    for each in operations:
        said = paths.setdefault(each.route.path, {})[each.route.method.lower()] = each.described()
        schemas |= each.schemas()
        if "201" in said["responses"]:
            said["responses"]["201"]["links"] = _links(each, operations)
    components: dict[str, Json] = {
        "parameters": PARAMETERS,
        "headers": HEADERS,
        "responses": of_gateway(template) | of_dialects(template),
        "schemas": dict(sorted(schemas.items())),
    }
    used = _used(paths, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Atrium",
            "version": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
            "summary": "Projects for teams, in two dialects over one store.",
            "description": INFO.replace("CODES\n", table_of_codes(template) + "\n"),
            "contact": {"name": "The team that runs this deployment"},
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        # What is served has the absolute URL in its place (functions/get_openapi.py): behind a stage, on a domain of
        # one's own, or on a laptop.
        "servers": [{"url": ".", "description": "Where this document comes from"}],
        "security": [{"BearerToken": []}, {"ApiKey": []}],
        "tags": [{"name": group.name, "description": group.description} for group in GROUPS if group in shown],
        "paths": paths,
        "components": {
            "securitySchemes": CREDENTIALS,
            **{
                kind: {name: each for name, each in parts.items() if (kind, name) in used}
                for kind, parts in components.items()
            },
        },
    }


def _used(paths: Json, components: Mapping[str, Json]) -> set[tuple[str, str]]:
    """The kinds and names of the components that a route refers to, itself or through another component."""
    found: set[tuple[str, str]] = set()
    waiting: list[Any] = [paths]
    while waiting:
        match waiting.pop():
            case {"$ref": str(target)}:
                _, _, kind, name = target.split("/")
                if (kind, name) not in found:
                    found.add((kind, name))
                    waiting.append(components[kind][name])
            case dict(parts):
                waiting += parts.values()
            case list(parts):
                waiting += parts
    return found


def _links(made: Operation, operations: list[Operation]) -> Json:
    """The operations that take the id of the resource that a route has made."""
    path, found = made.route.path, {}
    for each in operations:
        if part := re.fullmatch(re.escape(path) + r"/\{(\w+)\}", each.route.path):
            given = {name: f"$request.path.{name}" for name in re.findall(r"\{(\w+)\}", path)}
            given[part[1]] = f"$response.body#/{made.addressed_by}"
            found[each.route.id] = {"operationId": each.route.id, "parameters": given}
    return found
