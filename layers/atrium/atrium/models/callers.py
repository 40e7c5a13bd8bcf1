"""Who is asking, and with what."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from atrium.ids import to_uuid
from atrium.permissions import Permission, in_order

# The kind of a caller that is no principal: one who may invoke an operator's function.
OPERATOR = "operator"


class Narrowing(NamedTuple):
    """To what a credential is narrowed: these permissions, in these spaces, and in these projects. None is every one.

    A credential with spaces or projects has nothing to do with the tenant, and one with projects nothing with what is
    outside of them: not even the list of their space.
    """

    permissions: frozenset[Permission] | None = None
    spaces: frozenset[str] | None = None
    projects: frozenset[str] | None = None

    def within(self, space: str | None, project: str | None) -> frozenset[Permission] | None:
        """The permissions that are left in a project of a space; in a space, without a project; or in the tenant. None
        for every one."""
        is_outside = (self.spaces is not None and space not in self.spaces) or (
            self.projects is not None and project not in self.projects
        )
        return frozenset() if is_outside else self.permissions

    def lists(self) -> dict[str, list[str]]:
        """The parts to which it is narrowed, by name."""
        return {name: sorted(ids) for name, ids in self._asdict().items() if ids is not None}

    @classmethod
    def of(cls, lists: Mapping[str, Sequence[Any]]) -> "Narrowing":
        return cls(**{name: frozenset(lists[name]) for name in cls._fields if name in lists})

    def covers(self, other: "Narrowing | None") -> bool:
        """Whether a credential that is narrowed to the other is no wider than one that is narrowed to this."""
        return not self.passed_by(other or Narrowing())

    def passed_by(self, other: "Narrowing") -> list[str]:
        """The parts in which the other is wider than this."""
        return [
            part
            for part, most, asked in zip(self._fields, self, other, strict=True)
            if most is not None and (asked is None or not asked <= most)
        ]

    def resource(self) -> dict[str, list[str] | None]:
        """The form that clients see."""

        def shown(ids: frozenset[str] | None) -> list[str] | None:
            return None if ids is None else [to_uuid(id) for id in sorted(ids)]

        permissions = None if self.permissions is None else in_order(self.permissions)
        return {"permissions": permissions, "space_ids": shown(self.spaces), "project_ids": shown(self.projects)}


# A credential that is narrowed so enrols a person: it says whom it is for, and may be rotated. After that it is whole.
ENROLS = Narrowing(permissions=frozenset())


class Issuer(NamedTuple):
    """The credential that made another one, and its principal."""

    principal: str
    credential: str

    def resource(self) -> dict[str, str]:
        """The form that clients see."""
        return {"principal_id": to_uuid(self.principal), "credential_id": to_uuid(self.credential)}


class Caller(NamedTuple):
    """Who is asking, as the authorizer said. `kind` is `user`, `service` or OPERATOR; `credential` is the id of the
    credential that was sent, None where a function acts for a principal; `narrowed` says what it is limited to, and
    `issued_by` what made it, None for one that an operator made."""

    tenant: str
    principal: str
    kind: str
    credential: str | None = None
    narrowed: Narrowing | None = None
    issued_by: Issuer | None = None
