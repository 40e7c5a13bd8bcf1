"""The schemas of the OpenAPI document, of what pydantic and Powertools make of the models."""

import json
from typing import get_args

from pydantic.alias_generators import to_snake

from atrium import models
from atrium.api import v1_credentials, v1_principals
from atrium.ids import ID
from atrium.text import ANY_TEXT
from tools.openapi import Json, entry, ref
from tools.openapi.texts import FIELDS, SCHEMAS

# Enumerations that get a name of their own.
ENUMS = {
    "Phase": models.Phase,
    "TaskStatus": models.TaskStatus,
    "Priority": models.Priority,
    "ProjectStatus": models.Status,
    "PrincipalKind": models.PrincipalKind,
    "PrincipalStatus": models.PrincipalStatus,
    "TenantRole": v1_principals.TenantRole,
    "CredentialKind": v1_credentials.Kind,
}

# An object of a client's own: any members. Of the strings in it, generators make nothing.
OBJECT = {"type": "object", "additionalProperties": True}

# Fields that hold ids or moments, beside those that are called …_id and …_at.
_IDS = ("_id", "id", "project", "manager", "task", "user", "team", "created_by", "assigned_to")
_MOMENTS = ("at", "deadline", "acquisition_date", "time", "watermark")
# The gateway gives requests their ids, and another system its own: whatever form they have.
_OF_ANY_FORM = ("request_id", "external_id")

# Powertools' names for the limits of a parameter.
_LIMITS = {"ge": "minimum", "le": "maximum", "minimum": "minimum", "maximum": "maximum"}


def description(name: str, schema: Json) -> str:
    """The description of a component: from texts.py, or the docstring of its model. A page has its name only."""
    bare = name.removeprefix("V1")
    words = SCHEMAS.get(bare) or schema.get("description")
    if not words and bare.endswith("Page"):
        words = f"A page of {bare.removesuffix('Page').lower()}s."
    return words or entry(SCHEMAS, bare, "SCHEMAS in texts.py, or a docstring to the model")


def component(name: str, schema: Json, is_sent: bool) -> Json:
    made = {
        "type": "object",
        "description": description(name, schema),
        "required": schema.get("required", []),
        "properties": {
            field: _optional({**(sent(each) if is_sent else _answered(name, field, each)), "description": words})
            for field, each in schema["properties"].items()
            for words in (each.pop("description", None) or _words(name, field),)
        },
    }
    kept = ("additionalProperties", "minProperties", "maxProperties", "if", "then", "else")
    made |= {name: schema[name] for name in kept if name in schema}
    if not made["required"]:
        del made["required"]
        if name.endswith("Change"):
            made["minProperties"] = 1
    return made


def _optional(field: Json) -> Json:
    """The same, with its default in words: generators take a field with one for a field that is always there."""
    if (default := field.pop("default", None)) is not None:
        field["description"] += f" Left out, it is `{json.dumps(default)}`."
    return field


def _words(schema: str, field: str) -> str:
    bare = schema.removeprefix("V1")
    names = (f"{schema}.{field}", f"{bare}.{to_snake(field)}", to_snake(field), field)
    named = next((name for name in names if name in FIELDS), to_snake(field))
    return entry(FIELDS, named, "FIELDS in texts.py, or a description to the field")


def sent(schema: Json) -> Json:
    """A value that a client sends. Powertools writes limits of parameters its own way, and whole numbers as floats."""
    if "anyOf" in schema:
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "title")}
        return {**rest, "anyOf": [sent(each) for each in schema["anyOf"]]}
    made = {_LIMITS.get(key, key): value for key, value in schema.items() if key != "title"}
    for limit in _LIMITS.values():
        if limit in made:
            made[limit] = int(made[limit])
    if made.get("type") == "string" and not {"enum", "format", "pattern"} & made.keys():
        made |= ANY_TEXT
    return _shared(made)


def _answered(schema: str, field: str, found: Json) -> Json:
    """A value that is answered: the form of an id or a moment follows from its field's name."""
    if "anyOf" in found:
        return {"anyOf": [_answered(schema, field, each) for each in found["anyOf"]]}
    if "items" in found:
        return {"type": "array", "items": _answered(schema, field, found["items"])}
    made = {
        key: value for key, value in found.items() if key in ("type", "enum", "const", "$ref", "additionalProperties")
    }
    name = to_snake(field)
    if made == {"type": "string"} and (schema, name) == ("V1Task", "deadline"):
        return {"anyOf": [{**made, "format": "date"}, {**made, "format": "date-time"}]}
    if made == {"type": "string"} and (name in _MOMENTS or name.endswith("_at")):
        made["format"] = "date-time"
    if made == {"type": "string"} and (name in _IDS or name.endswith("_id")) and name not in _OF_ANY_FORM:
        of_v1 = schema.startswith("V1") and (schema, field) != ("V1Me", "id")
        made |= {"format": "uuid"} if of_v1 else {"pattern": f"^{ID}$"}
    # The resource of an event is one of many things, and no client's own.
    return made if name == "resource" else _shared(made)


def _shared(schema: Json) -> Json:
    """The same, by its name if it has one."""
    if schema == OBJECT:
        return ref("schemas", "V1ProjectDescription")
    for name, choice in ENUMS.items():
        if schema.get("enum") == list(get_args(choice)):
            return {**ref("schemas", name), **{key: schema[key] for key in schema.keys() & {"default"}}}
    return schema
