"""The tenant itself, as its principals see it and its admins change it.

Two changes hold the version that they read, so the second to commit decides again; one that dies half-way left nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from atrium import keys
from atrium.errors import NotFound
from atrium.models import Tenant, moment_of
from atrium.store.access import tenant_access
from atrium.store.change import differing, permit
from atrium.store.engine.work import Work
from atrium.store.ledger import Root, count, tell
from atrium.store.rows import to_tenant


class Tenancy:
    """The tenant of one request's caller."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._key = keys.tenant(work.caller.tenant)

    def get(self) -> Tenant:
        return self._read()[0]

    def update(self, changes: Mapping[str, Any]) -> Tenant:
        """Changes the `name`. Raises Forbidden and VersionRefused."""
        found, root = self._read()
        permit(
            self._work,
            tenant_access(self._work),
            ["tenant:update"],
            lambda: (None, found.version),
            reads=None,
        )
        changes = differing(found, changes)
        self._work.check(self._key, "#version = :seen_version", seen_version=found.version)
        if not changes:
            return found
        changed = replace(found, **changes, updated_at=self._work.now, version=found.version + 1)
        tell(self._work, root, "tenant.updated", changed.resource(), changes)
        count(self._work, self._key, **changes, updated_at=changed.updated_at, version=changed.version)
        return changed

    def _read(self) -> tuple[Tenant, Root]:
        self._work.read(self._key)
        row = self._work.item(self._key)
        if row is None:  # and yet it has a principal
            raise NotFound("Tenant not found.")
        self._work.not_before(moment_of(row["last_events"][-1]))
        return to_tenant(row), Root(self._key, last_events=row["last_events"])
