"""The sample events: of each route a request that succeeds, in the envelope that the laptop's gateway makes.

Their tenant and people are those of local/demo.py, whose ids are the same everywhere. The project and its records, and
whom and what other samples end, do not exist until a test makes them: tests put the ids of their own in.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from atrium.ids import is_id, to_uuid
from local.gateway import proxy_event
from local.template import ACCOUNT, REGION, ROOT
from tools.openapi import JSON, Json, entry, examples
from tools.routes import Route

EVENTS = ROOT / "events"

_TENANT = "57be4a7be6e591afc8ac7ddd"
_OWNER, _VIEWER, _OUTSIDER = "4d30d21a08116d9ced4c2aa8", "d476489917ff5a16aeac391c", "6a8f33fc9f6e290cca0839b5"
# The owner's token.
_CREDENTIAL = "866e6fb9427803b4f0084c3b"

# In paths and queries, where a sample in the OpenAPI document names another thing.
_PARAMETERS = {
    "space_id": _TENANT,
    "task_id": "64a1f2c3b4e5d6f7a8b9c0d2",
    "dataset_id": "64a1f2c3b4e5d6f7a8b9c0d3",
    "experiment_id": "64a1f2c3b4e5d6f7a8b9c0d4",
    "decision_id": "64a1f2c3b4e5d6f7a8b9c0d5",
    "note_id": "64a1f2c3b4e5d6f7a8b9c0d6",
    "user_id": _VIEWER,
    "member_id": _VIEWER,
    "q": "view",
    "principal_id": _VIEWER,
    "credential_id": _CREDENTIAL,
    "event_id": "64a1f2c3b4e5d6f7a8b9c0f3",
}

# The same of one route: what ends is not what other samples are about, and those of credentials are about the owner's.
_PRINCIPAL, _SPACE = "64a1f2c3b4e5d6f7a8b9c0f1", "64a1f2c3b4e5d6f7a8b9c0f2"
_OF_A_NEW_WEBHOOK = ("TestWebhook", "DeleteWebhook", "RecoverEvents")
_OF_A_ROUTE = {
    "V1UpdatePrincipal": {"principal_id": _PRINCIPAL},
    "V1DeletePrincipal": {"principal_id": _PRINCIPAL},
    "V1DeleteSpace": {"space_id": _SPACE},
    **{f"V1{verb}": {"webhook_id": "64a1f2c3b4e5d6f7a8b9c0e2"} for verb in _OF_A_NEW_WEBHOOK},
    "V1DeleteCredential": {"credential_id": "bfc147981c80a3a18773cd68"},
    "V1ListCredentials": {"principal_id": _OWNER},
    **{f"V1{verb}Credential": {"principal_id": _OWNER} for verb in ("Get", "Create", "Update", "Rotate")},
}

# The same in bodies: whoever is added is no member yet.
_FIELDS = {
    "id": _OUTSIDER,
    "principal_id": to_uuid(_OUTSIDER),
    "assignedTo": _VIEWER,
    "assigned_to": to_uuid(_VIEWER),
}

# The same in the body of one route: who is found is there, and who is made is not.
_FIELDS_OF = {"FindTeamMember": {"email": "viewer@acme.example"}}

# A token that is well-formed and nobody's.
_TOKEN = "atr_token_00000000000000000000000000000000000000000001p8MOB"  # noqa: S105

_HEADERS = (("Accept", "*/*"), ("Host", "api.example.com"), ("User-Agent", "curl/8.5.0"))


def texts(routes: Iterable[Route], paths: Json) -> dict[Path, str]:
    """The file of each route's sample, and of the authorizer's, a request to GET /v1/me. `paths` are the OpenAPI
    document's."""
    found = {route.file: _of_route(route, paths[route.path][route.method.lower()]) for route in routes}
    found["authorizer"] = _of_authorizer(found["v1/get_me"])
    return {EVENTS / f"{file}.json": json.dumps(event, indent=2) + "\n" for file, event in found.items()}


def _of_route(route: Route, operation: Json) -> Json:
    asked = {each["name"]: each["in"] for each in operation.get("parameters", []) if each.get("required")}
    values = {name: _parameter(route, name) for name in asked}
    ids = {name: value for name, value in values.items() if asked[name] == "path"}
    headers = list(_HEADERS)
    body = None
    if "requestBody" in operation:
        sample = operation["requestBody"]["content"][JSON]["example"]
        own = _FIELDS | _FIELDS_OF.get(route.name, {})
        body = json.dumps({name: own.get(name, value) for name, value in sample.items()})
        headers.append(("Content-Type", JSON))
    if route.method != "GET":
        headers.append(("Idempotency-Key", f"sample-{route.name}"))
    caller = {
        "tenant_id": _TENANT,
        "principal_id": _OWNER,
        "kind": "user",
        "credential_id": _CREDENTIAL,
        "principalId": _OWNER,
    }
    return proxy_event(
        resource=route.path,
        path=route.path.format(**ids),
        method=route.method,
        parameters=ids or None,
        query=[(name, value) for name, value in values.items() if asked[name] == "query"],
        headers=headers,
        source_ip="127.0.0.1",
        scheme="https",
        authorizer=None if route.public else caller,
        body=body,
        encoded=False,
        id="c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        stage="prod",
        milliseconds=1_780_000_000_000,
    )


def _parameter(route: Route, name: str) -> str:
    own = _PARAMETERS | _OF_A_ROUTE.get(route.name, {})
    value: str = own.get(name) or entry(examples.PARAMETERS, name, "PARAMETERS in examples.py")
    return to_uuid(value) if route.prefix and is_id(value) else value


def _of_authorizer(event: Json) -> Json:
    """The event that asks the authorizer about the request."""
    credential = ("Authorization", f"Bearer {_TOKEN}")
    place = f"local/prod/{event['httpMethod']}{event['path']}"
    asked = {name: value for name, value in event.items() if name not in ("body", "isBase64Encoded")}
    return {
        **asked,
        "headers": dict([*event["headers"].items(), credential]),
        "multiValueHeaders": {**event["multiValueHeaders"], credential[0]: [credential[1]]},
        "requestContext": {**event["requestContext"], "authorizer": None},
        "type": "REQUEST",
        "methodArn": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{place}",
    }
