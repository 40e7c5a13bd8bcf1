"""The projects of a space: how they are listed, read, made, changed and deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from atrium import keys
from atrium.errors import Code, NotFound, Unfit, not_a_member
from atrium.ids import new_id
from atrium.models import Member, Page, Project, ProjectRow
from atrium.permissions import Permission, Role
from atrium.store.access import Access, project_access, space_access
from atrium.store.change import (
    Change,
    begin_change,
    differing,
    in_space,
    open_project,
    permit,
    read_project,
    record,
)
from atrium.store.deletion import Deletion
from atrium.store.engine.table import Item, starting_with
from atrium.store.engine.work import Work
from atrium.store.people import hold_active
from atrium.store.rows import joined_row, list_row, member_row, project_row, to_listed

# A description as JSON text.
MAX_DESCRIPTION_BYTES = 32 * 1024

# The names that events give to the fields of a project.
_SHOWN_AS = {"manager": "manager_id", "client": "client_name"}


class Projects:
    """The projects of one space, as the caller of one request may see and change them."""

    def __init__(self, work: Work, space: str) -> None:
        self._work = work
        self._space = space
        self._way = in_space(space)
        self._caller = work.caller
        self._key = keys.space(self._caller.tenant, space)

    def get(self, project: str) -> Project:
        """Raises NotFound (also for a project of another space) and Forbidden."""
        return read_project(self._work, self._way, project).project

    def list(self, *, status: str | None, limit: int, after: str | None) -> Page[ProjectRow]:
        """The space's projects that the caller may see, by age; a page may be short.

        A space role sees them all. Without one the caller sees the projects it is a member of, or of those that its
        credential is narrowed to, and pays a second round trip for them. Raises NotFound and Forbidden.
        """
        listed, joined = self._work.read(
            self._key,
            ranges=[
                starting_with(self._key.pk, keys.PROJECT, after, limit),
                starting_with(self._work.my_key.pk, keys.PROJECT, after, limit),
            ],
        )
        _, access = self._found()
        if access.allows("project:read"):
            rows: Sequence[Item] = listed
            end = listed[-1]["id"] if listed.more else None
        else:
            ids = [row["id"] for row in joined if row["space"] == self._space]
            end = joined[-1]["id"] if joined.more else None
            if self._caller.narrowed and self._caller.narrowed.projects is not None:
                ids = sorted(id for id in self._caller.narrowed.projects if id > (after or ""))
                ids, end = ids[:limit], ids[limit - 1] if len(ids) > limit else None
            rows = self._rows_of(ids)
            if not rows and end is None:
                if after is None:
                    access.require("project:read")
                # Behind the end, or behind a made-up cursor: judged as without one.
                self.list(status=status, limit=limit, after=None)
        shown = [to_listed(self._caller.tenant, row) for row in rows if status in (None, row["status"])]
        return Page(tuple(shown), end)

    def create(self, *, name: str, client: str, description: str) -> Project:
        """A new project, its caller the named manager. `description` is JSON text. Raises NotFound, Forbidden,
        VersionRefused, Invalid.
        """
        require_size(description)
        tenant, me = self._caller.tenant, self._caller.principal
        self._work.read(self._key)
        _, access = self._found()
        permit(self._work, access, ["project:create"], lambda: (None, None))
        now = self._work.now
        project = Project(
            id=new_id(),
            tenant=tenant,
            space=self._space,
            name=name,
            client=client,
            description=description,
            manager=me,
            created_by=me,
            status="active",
            created_at=now,
            updated_at=now,
            version=1,
            sequence=1,
            members=1,
            last_events=(),
            is_childless=True,
        )
        member = Member(
            membership=new_id(),
            tenant=tenant,
            principal=me,
            role=Role.MANAGER,
            created_at=now,
            updated_at=now,
            version=1,
            project=project.id,
        )
        project = replace(project, last_events=record(self._work, project, "project.created", project.resource()))
        self._work.put(keys.project(tenant, project.id), project_row(project))
        self._work.put(keys.space_project(tenant, self._space, project.id), list_row(project))
        self._work.put(keys.member(tenant, project.id, me), member_row(member))
        self._work.put(keys.principal_project(tenant, me, project.id), joined_row(project))
        return project

    def update(self, project: str, changes: Mapping[str, Any]) -> Project:
        """Changes some of `name`, `description` (JSON text), `status` and `manager` (a hand-over to another member).

        Raises NotFound, Forbidden, VersionRefused, Conflict when archived, Invalid.
        """
        heir = changes.get("manager")
        heir_keys = (
            [keys.member(self._caller.tenant, project, heir), keys.principal(self._caller.tenant, heir)] if heir else []
        )
        opened = open_project(self._work, self._way, project, *heir_keys)
        found = opened.project
        own: list[Permission] = ["project:update"] if changes.keys() - {"manager"} else []
        hand_over: list[Permission] = ["project:transfer"] if heir else []
        change, _ = begin_change(
            self._work,
            opened,
            *own,
            *hand_over,
            judge=lambda: (None, found.version),
            archived="changes" if changes.get("status") == "active" else "no change",
        )
        changes = differing(found, changes)
        if not changes:
            change.nothing("version")
            return found
        change.require_active()
        if "description" in changes:
            require_size(changes["description"])
        if "manager" in changes:
            self._hand_over(*heir_keys)
        return write_fields(self._work, change, changes)

    def delete(self, project: str) -> None:
        """Raises what `delete_project` raises."""
        opened = open_project(self._work, self._way, project)
        change, _ = begin_change(
            self._work, opened, "project:delete", judge=lambda: (None, opened.project.version), archived="changes"
        )
        delete_project(self._work, change)

    def _found(self) -> tuple[Item, Access]:
        """The space's row, of the rows that were read, and the caller's access to it. Raises NotFound."""
        row = self._work.item(self._key)
        if row is None:
            raise NotFound("Space not found.", Code.SPACE_NOT_FOUND)
        return row, space_access(self._work, self._space)

    def _hand_over(self, heir: keys.Key, principal: keys.Key) -> None:
        """The heir's row becomes a manager's; that it is a member, as it was read, and not suspended, holds at the
        commit."""
        row = self._work.item(heir)
        if row is None:
            raise not_a_member("manager")
        hold_active(self._work, principal)
        self._work.not_before(row["updated_at"])
        self._work.update(
            heir,
            "SET #role = :manager, #updated_at = :now ADD #version :one",
            "#id = :seen_id AND #version = :seen_version",
            manager=Role.MANAGER.key,
            now=self._work.now,
            one=1,
            seen_id=row["id"],
            seen_version=row["version"],
        )

    def _rows_of(self, ids: Sequence[str]) -> Sequence[Item]:
        """The rows of the space's list of those of the projects that the caller may read."""
        listed = [keys.space_project(self._caller.tenant, self._space, id) for id in ids]
        mine = [keys.member(self._caller.tenant, id, self._caller.principal) for id in ids]
        self._work.read(*listed, *mine)
        rows = [(self._work.item(each), self._work.item(member)) for each, member in zip(listed, mine, strict=True)]
        return [row for row, member in rows if row is not None and self._may_read(row["id"], member)]

    def _may_read(self, project: str, member: Item | None) -> bool:
        return project_access(self._work, self._space, project, member).allows("project:read")


def write_fields(work: Work, change: Change, changes: Mapping[str, Any]) -> Project:
    """Writes changed fields of a project, at exactly the version that was read."""
    found = change.project
    changed = replace(found, **changes, updated_at=work.now, version=found.version + 1, sequence=found.sequence + 1)
    names = [_SHOWN_AS.get(name, name) for name in changes]
    written = {name: getattr(changed, name) for name in (*changes, "updated_at", "version")}
    change.write("project.updated", changed.resource(), names, **written)
    change.list(changed)
    return changed


def delete_project(work: Work, change: Change) -> None:
    """Deletes a project at once and for good. The rows below it become unreachable in the same transaction and are
    purged later."""
    found = change.project
    change.write("project.deleted", found.resource(), deleted_at=work.now)
    change.hold("version")
    work.delete(keys.space_project(found.tenant, found.space, found.id), when=None)
    deletion = Deletion("project", found.tenant, work.now, project=found.id, space=found.space)
    work.put(deletion.queued, deletion.row, when=None)


def require_size(description: str) -> None:
    """Raises Invalid for a description, as JSON text, that is too long to be kept."""
    if len(description.encode()) > MAX_DESCRIPTION_BYTES:
        kilobytes = MAX_DESCRIPTION_BYTES // 1024
        raise Unfit("description", "too_long", f"Must have at most {kilobytes} KB as JSON", MAX_DESCRIPTION_BYTES)
