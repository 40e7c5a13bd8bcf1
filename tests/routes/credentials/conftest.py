"""An operator, and a tenant with people and services, for the tests of credentials."""

from collections.abc import Iterator

import pytest

from local.functions import call
from local.issuer import AUDIENCE, ISSUER, Issuer
from local.template import Template
from tests.support.client import World
from tests.support.credentials import restore
from tests.support.operator import Operator
from tests.support.world import inline


@pytest.fixture
def operator(world: World, template: Template) -> Operator:
    return Operator(world, template)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="module")
def tenants(engine: str, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world that takes the issuer's tokens, with a service, and one that is an admin, in acme."""
    taking = Template(JwtIssuer=ISSUER, JwtAudience=AUDIENCE, JwtJwks=issuer.jwks)
    with inline(taking, engine, tmp_path_factory.mktemp("tenants"), call) as world:
        acme = world.dev["tenants"]["acme"]
        space = acme["spaces"]["default"]
        principals = [
            {
                "name": name,
                "email": f"{name.replace(' ', '.')}@acme.example",
                "kind": kind,
                "tenant_role": tenant_role,
                "roles": {space: "manager"},
                "credentials": [{"kind": "token"}],
            }
            for name, kind, tenant_role in (
                ("robot", "service", "member"),
                ("robot admin", "service", "admin"),
                ("person", "user", "member"),
                ("admin", "user", "admin"),
            )
        ]
        request = {"request_token": "more", "tenant_id": acme["tenant_id"], "principals": principals}
        for person in call(taking.functions["Provision"], request)["principals"]:
            secret = person["credentials"][0]["secret"]
            acme["principals"][person["name"]] = {**person, "token": secret, "api_key": secret}
        yield world


@pytest.fixture
def staffed(tenants: World) -> Iterator[World]:
    """With the rows as they were, afterwards."""
    assert tenants.table is not None
    before = tenants.table.items()
    yield tenants
    restore(tenants, before)
