"""People to be managed, their credentials, and what is in the table of them."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import boto3
import pytest

from atrium import keys
from atrium.api import authorizer
from atrium.credentials import digest
from atrium.ids import from_uuid
from atrium.store.engine.table import table
from atrium.store.fsck.check import Check
from local.functions import call
from local.template import Template
from tests.support.client import World
from tests.support.rows import Rows

Narrow = Callable[..., None]
Enrol = Callable[..., str]


@pytest.fixture
def rows(world: World) -> Rows:
    return Rows(boto3.client("dynamodb"), os.environ["TABLE_NAME"])


@pytest.fixture
def narrow(world: World, rows: Rows) -> Narrow:
    """Narrows the token of a principal of acme."""

    def narrowed(name: str, **to: list[str] | None) -> None:
        key = keys.credential(digest(world.principal(name)["token"]))
        rows.change(key, **{"permissions": None, "spaces": None, "projects": None, **to})
        authorizer.credentials.cache_clear()

    return narrowed


@pytest.fixture
def enrol(world: World, template: Template) -> Enrol:
    """Makes a principal of acme that can ask, under a name of its own. Its id comes back."""

    def enrolled(name: str, roles: Mapping[str, str] = {}, **fields: Any) -> str:
        acme = world.dev["tenants"]["acme"]
        request = {
            "request_token": f"enrol-{name}",
            "tenant_id": acme["tenant_id"],
            "principals": [
                {
                    "name": name,
                    "email": f"{name}@acme.example",
                    "roles": {acme["spaces"][space]: role for space, role in roles.items()},
                    "credentials": [{"kind": "token"}],
                    **fields,
                }
            ],
        }
        (made,) = call(template.functions["Provision"], request)["principals"]
        acme["principals"][name] = {**made, "token": made["credentials"][0]["secret"]}
        return str(made["principal_id"])

    return enrolled


def tenant(world: World) -> str:
    return from_uuid(world.dev["tenants"]["acme"]["tenant_id"])


def path(world: World, name: str) -> str:
    return f"/v1/principals/{world.uuid(name)}"


def events(world: World, principal: str) -> list[Any]:
    """Those of a principal, the latest first."""
    found = world("GET", "/v1/events?type=principal.*&limit=100").body["data"]
    return [event for event in found if event["principal_id"] == principal]


def require_sound() -> None:
    found = Check(table()).run()
    assert found["clean"], found
