"""Dead letters, and the function that sends them again."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from atrium.ids import new_id, to_uuid
from atrium.settings import settings
from atrium.store import redrive as resending
from atrium.store.letters import dead_letters
from local.bus import instant
from local.letters import Letters
from local.template import ACCOUNT, REGION
from tests.support.client import World

Record = dict[str, Any]

Redrive = Callable[..., dict[str, Any]]

DONE = {"failed": 0, "left": 0, "complete": True, "details": []}


def clear_caches() -> None:
    for cached in (settings, dead_letters, resending._streams, resending._lambdas):
        cached.cache_clear()


def waiting(letters: Letters) -> list[Any]:
    """The bodies of all visible letters, which stay visible."""
    _, answer = letters.answer("ReceiveMessage", {"MaxNumberOfMessages": 1000, "VisibilityTimeout": 0})
    return [json.loads(each["Body"]) for each in answer["Messages"]]


def envelope(source: str, kind: str, detail: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": kind,
        "source": source,
        "account": ACCOUNT,
        "time": instant(0),
        "region": REGION,
        "resources": [],
        "detail": detail,
    }


def requested(world: World) -> dict[str, Any]:
    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    detail = {"id": "order-1", "tenant_id": tenant, "principal_id": world.uuid("owner"), "name": "Gemini"}
    return envelope("crm", "project.requested", detail)


def created(world: World, project: str) -> dict[str, Any]:
    made = world("GET", project).body
    ids = {"tenant_id": made["tenant_id"], "space_id": made["space_id"], "project_id": made["id"]}
    told = {"id": to_uuid(new_id()), "type": "project.created", **ids, "resource": made}
    return envelope("atrium", "project.created", told)
