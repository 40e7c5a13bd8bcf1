"""Tenants with their spaces and principals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from atrium.ids import to_uuid
from atrium.models.callers import Narrowing
from atrium.models.credentials import Credential
from atrium.permissions import Role, TenantRole

PrincipalKind = Literal["user", "service"]
PrincipalStatus = Literal["active", "suspended"]
# The status of a principal that may call.
ACTIVE: PrincipalStatus = "active"


class Person(NamedTuple):
    """A principal as the directory knows it."""

    id: str
    name: str
    email: str | None


@dataclass(frozen=True)
class Tenant:
    """An organisation with its spaces and principals."""

    id: str
    name: str
    created_at: str
    updated_at: str
    version: int

    def resource(self) -> dict[str, Any]:
        """The form that clients see."""
        return {
            "id": to_uuid(self.id),
            "name": self.name,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


@dataclass(frozen=True)
class Space:
    """A space holds projects. The default one, for projects made without a named space, has the tenant's id."""

    id: str
    tenant: str
    name: str
    description: str
    created_at: str
    updated_at: str
    version: int

    @property
    def is_default(self) -> bool:
        return self.id == self.tenant

    def resource(self) -> dict[str, Any]:
        """The form that clients see."""
        return {
            "id": to_uuid(self.id),
            "tenant_id": to_uuid(self.tenant),
            "name": self.name,
            "description": self.description,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


class SpaceRole(NamedTuple):
    """A role in a space."""

    space: Space
    role: Role


@dataclass(frozen=True)
class Principal:
    """A person, or a service. `spaces` has the roles in spaces by their ids. A service may have no e-mail address.
    `external_id` is the name that another system of the tenant has for the principal."""

    id: str
    tenant: str
    kind: PrincipalKind
    name: str
    email: str | None
    external_id: str | None
    tenant_role: TenantRole
    status: PrincipalStatus
    spaces: Mapping[str, Role]
    created_at: str
    updated_at: str
    version: int

    def resource(self) -> dict[str, Any]:
        """The form that events carry: nothing by which a person is known."""
        return {
            "id": to_uuid(self.id),
            "tenant_id": to_uuid(self.tenant),
            "kind": self.kind,
            "tenant_role": self.tenant_role.key,
            "status": self.status,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


class Me(NamedTuple):
    """The caller, with its roles in spaces, in the order of their ids, and the credential that it sent, with what that
    is narrowed to. None for one that is not there any more."""

    principal: Principal
    spaces: tuple[SpaceRole, ...]
    credential: Credential | None
    narrowed: Narrowing | None
