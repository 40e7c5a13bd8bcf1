"""Changes, as the ledger keeps them."""

from dataclasses import dataclass
from typing import Any

from atrium.documents import Raw
from atrium.ids import to_uuid
from atrium.models.callers import Issuer
from atrium.models.moments import moment_of

# Each kind of what is changed, with what happens to it: together they are a type, as `task.created`.
_HAPPENS = {
    "project": ("created", "updated", "deleted"),
    "member": ("added", "role_changed", "removed"),
    "task": ("created", "updated", "deleted"),
    "dataset": ("created", "updated", "deleted"),
    "experiment": ("created", "updated", "deleted"),
    "decision": ("created", "updated", "deleted"),
    "note": ("created", "deleted"),
    "tenant": ("created", "updated"),
    "space": ("created", "updated", "deleted"),
    "space_member": ("added", "role_changed", "removed"),
    "principal": ("created", "updated", "suspended", "resumed", "deleted"),
    "credential": ("created", "updated", "rotated", "revoked"),
    "webhook": ("created", "updated", "rotated", "tested", "redelivered", "recovered", "disabled", "deleted"),
}

# Every type of event; and what may stand for several: a kind and a star, or a star for all.
TYPES = tuple(f"{kind}.{verb}" for kind, verbs in _HAPPENS.items() for verb in verbs)
TYPES_AND_STARS = (*TYPES, *(f"{kind}.*" for kind in _HAPPENS), "*")


@dataclass(frozen=True)
class Event:
    """A change, as the ledger keeps it.

    Its root is its project, or else its principal, its webhook, its space, or its tenant. `sequence` is its number
    among the changes of the root, None until it is published. `actor`, `actor_kind` and `credential` say who made
    it, and `issued_by` names the maker of that credential; an `operator`, who invokes a function, is no principal.
    `request` is the id of the request. `resource` is JSON text: what was changed, after the change or before its
    deletion, without the fields that `omitted` names; null once an operator has erased it. `changed` are the names
    of the fields with a new value, None for what is not an update.
    """

    id: str
    tenant: str
    type: str
    actor_kind: str
    resource: str
    space: str | None = None
    project: str | None = None
    principal: str | None = None
    webhook: str | None = None
    actor: str | None = None
    credential: str | None = None
    issued_by: Issuer | None = None
    request: str | None = None
    changed: tuple[str, ...] | None = None
    omitted: tuple[str, ...] = ()
    sequence: int | None = None

    @property
    def time(self) -> str:
        """The moment of the change, which its id has."""
        return moment_of(self.id)

    def detail(self) -> dict[str, Any]:
        """The form that consumers see, on the bus and in the list of events, to be rendered with `documents`."""
        return {
            "id": to_uuid(self.id),
            "type": self.type,
            "time": self.time,
            "tenant_id": to_uuid(self.tenant),
            **{
                f"{kind}_id": to_uuid(id)
                for kind in ("space", "project", "principal", "webhook")
                if (id := getattr(self, kind))
            },
            **({"sequence": self.sequence} if self.sequence is not None else {}),
            "request_id": self.request,
            "actor": {
                "principal_id": self.actor and to_uuid(self.actor),
                "kind": self.actor_kind,
                "credential_id": self.credential and to_uuid(self.credential),
                "issued_by": self.issued_by and self.issued_by.resource(),
            },
            "resource": Raw(self.resource),
            **({"changed": self.changed} if self.changed is not None else {}),
            **({"omitted": self.omitted} if self.omitted else {}),
        }
