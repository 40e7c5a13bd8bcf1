"""People to be managed, and their credentials."""

from collections.abc import Mapping
from typing import Any

import pytest

from atrium import keys
from atrium.api import authorizer
from atrium.credentials import digest
from local.functions import call
from local.template import Template
from tests.support.client import World
from tests.support.principals import Enrol, Narrow
from tests.support.rows import Rows, rows_here


@pytest.fixture
def rows(world: World) -> Rows:
    return rows_here()


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
