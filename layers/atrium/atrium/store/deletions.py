"""The deletion of spaces and principals: at once for every request, and finished by the purge.

A deletion leaves a tombstone, which no request sees, and a row in the purge queue; all that leads to the space or the
principal in a list goes in the same transaction. What the tombstone stands for hangs below it or points to it in more
rows than a transaction takes, so the purge removes that: atrium.store.purge, and atrium.store.departures for the
changes that have events.

What two requests may leave behind. Nothing counts what a space holds, and nothing what a principal manages, so that
creates and hand-overs do not wait for each other. One that has read before the tombstone was there, and commits behind
it, leaves a project in a deleted space, or one whose named manager is deleted. It ends within ten seconds of what it
read; the purge looks again when it has, deletes that project, and hands that one over. A deletion that dies leaves
nothing, or all of it, since it is one transaction. Of two admins who delete each other the last one stays: both change
the number of admins.
"""

from collections.abc import Sequence
from typing import Any

from atrium import keys
from atrium.errors import Code, Conflict, NotFound
from atrium.models import moment_of
from atrium.store.access import beyond_credential, tenant_access
from atrium.store.deletion import Deletion
from atrium.store.directory import count_admins, found_by
from atrium.store.engine.table import Item, Range, Rows, starting_with
from atrium.store.engine.work import Work
from atrium.store.ledger import Root, count, last_events, principal_root, tell
from atrium.store.rows import issuer_row, to_principal, to_space

# How many of the projects that a principal is a member of are looked at in one round trip.
_PAGE = 500


class Deletions:
    """Deletes spaces and principals of a tenant, for the caller of one request."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._tenant = work.caller.tenant

    def delete_space(self, space: str) -> None:
        """Raises NotFound, Forbidden, VersionRefused, and Conflict for the default space and one with projects."""
        key = keys.space(self._tenant, space)
        (projects,) = self._work.read(key, ranges=[starting_with(key.pk, keys.PROJECT, None, 1)])
        row = self._work.item(key)
        if row is None:
            raise NotFound("Space not found.", Code.SPACE_NOT_FOUND)
        access = tenant_access(self._work)
        access.require("space:create")
        found = to_space(self._tenant, row)
        if found.is_default:
            raise Conflict("The default space of a tenant cannot be deleted.", Code.DEFAULT_SPACE)
        if projects:
            raise Conflict("The space has projects. Delete them first.", Code.SPACE_NOT_EMPTY)
        self._work.match(found.version)
        access.hold(self._work)
        self._bury(
            Deletion("space", self._tenant, self._moment(row), space=space),
            Root(key, space=space, last_events=last_events(row)),
            "space.deleted",
            found.resource(),
            found.version,
        )
        self._work.delete(keys.tenant_space(self._tenant, space), when=None)

    def delete_principal(self, principal: str) -> None:
        """An admin is deleted with a credential that has all that an admin may. One round trip more for each five
        hundred projects that the principal is a member of. Raises Forbidden, NotFound, VersionRefused, and Conflict for
        the last admin and for who is the named manager of a project."""
        key, admins = keys.principal(self._tenant, principal), keys.admins(self._tenant)
        (joined,) = self._work.read(key, admins, ranges=[self._joined(principal, None)])
        access = tenant_access(self._work)
        access.require("principal:manage")
        row = self._work.item(key)
        if row is None:
            raise NotFound("Principal not found.", Code.PRINCIPAL_NOT_FOUND)
        found = to_principal(self._tenant, row)
        if not access.covers(found.tenant_role):
            raise beyond_credential()
        count_admins(self._work, found, None)
        if managed := self._managed(principal, joined):
            projects = "a project" if managed == 1 else f"{managed} projects"
            raise Conflict(
                f"The principal is the named manager of {projects}. Hand over what it manages first.", Code.IS_MANAGER
            )
        self._work.match(found.version)
        access.hold(self._work)
        self._bury(
            Deletion("principal", self._tenant, self._moment(row), principal=principal),
            principal_root(self._tenant, principal, row),
            "principal.deleted",
            found.resource(),
            found.version,
            status="deleted",
        )
        # All of them fit into the transaction.
        for way in found_by(found):
            self._work.delete(way, when=None)

    def _bury(
        self, deletion: Deletion, root: Root, type: str, resource: dict[str, Any], version: int, **fields: Any
    ) -> None:
        """Writes the tombstone, with who made it, the event, and the row of the purge queue. Holds the version, and
        raises it, so that no change of what was read before fits the tombstone."""
        caller = self._work.caller
        by = {"principal": caller.principal, "kind": caller.kind, "request": self._work.request}
        by |= {"credential": caller.credential} if caller.credential else {}
        by |= issuer_row(caller.issued_by)
        tell(self._work, root, type, resource)
        count(self._work, root.key, deleted_at=deletion.deleted_at, deleted_by=by, version=version + 1, **fields)
        self._work.check(root.key, "#version = :seen_version", seen_version=version)
        self._work.put(deletion.queued, deletion.row, when=None)

    def _managed(self, principal: str, joined: Rows) -> int:
        """Of how many projects the principal is the named manager; `joined` is the first page of those that it is a
        member of."""
        managed = 0
        while joined:
            listed = [keys.space_project(self._tenant, row["space"], row["id"]) for row in joined]
            following = [self._joined(principal, joined[-1]["id"])] if joined.more else []
            pages = self._work.read(*listed, ranges=following)
            rows: Sequence[Item | None] = [self._work.item(key) for key in listed]
            managed += sum(row is not None and row["manager"] == principal for row in rows)
            joined = pages[0] if pages else Rows()
        return managed

    def _joined(self, principal: str, after: str | None) -> Range:
        return starting_with(keys.principal(self._tenant, principal).pk, keys.PROJECT, after, _PAGE)

    def _moment(self, row: Item) -> str:
        """The moment of the deletion, which is not before that of the latest change."""
        self._work.not_before(moment_of(last_events(row)[-1]))
        return self._work.now
