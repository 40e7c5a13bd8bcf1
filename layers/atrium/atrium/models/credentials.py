"""Credentials of principals."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from atrium.ids import to_uuid
from atrium.models.callers import ENROLS, Issuer, Narrowing

# The kinds of credentials. Clients know a key as an api_key.
CredentialKind = Literal["token", "key", "identity"]
CredentialStatus = Literal["active", "expired", "revoked"]


@dataclass(frozen=True)
class Credential:
    """A credential of a principal, in all its secrets.

    `hint` are the last characters of the newest secret, None where the operator sent a digest, or nothing is secret.
    `issued_by` is None for one that an operator made. One that `enrols` is narrowed to ENROLS until its first rotation,
    and then to `narrowed` and ends at `whole_until`. `issued` counts those that it made.
    """

    id: str
    tenant: str
    principal: str
    kind: CredentialKind
    name: str | None
    hint: str | None
    narrowed: Narrowing | None
    issued_by: Issuer | None
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    version: int = 1
    issued: int = 0
    enrols: bool = False
    whole_until: str | None = None

    @property
    def effective(self) -> Narrowing | None:
        return ENROLS if self.enrols else self.narrowed

    def status(self, now: str) -> CredentialStatus:
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"

    def resource(self) -> dict[str, Any]:
        """The form that events carry: nothing of a secret, and no name."""
        return {
            "id": to_uuid(self.id),
            "tenant_id": to_uuid(self.tenant),
            "principal_id": to_uuid(self.principal),
            "kind": "api_key" if self.kind == "key" else self.kind,
            **(self.narrowed or Narrowing()).resource(),
            "enrol": self.enrols,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
        }


class Held(NamedTuple):
    """A credential as it is now: when one of its secrets was last used, to the hour, and its status."""

    credential: Credential
    last_used_at: str | None
    status: CredentialStatus

    @property
    def id(self) -> str:
        """By which its principal's list is in order."""
        return self.credential.id
