"""Projects: how they are read, and the one transaction that each change of one is.

What two changes of one project may leave behind. Each writes META of the project, so they commit one after the other,
and each rests on conditions: where the first one broke them, the second one reads and decides again. A change of the
project's own fields holds `version`, and so does its deletion, whose event tells what was deleted; a change below it
only raises `sequence`, so many can follow each other without a retry. Deleting sets `deleted_at`, and every other
change has the condition that it is absent: nothing is added to a deleted project. A process that dies leaves all of a
change or nothing, since a change is one transaction.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import fields, replace
from functools import partial
from typing import Any, TypeVar

from atrium import documents, keys
from atrium.errors import Archived, Code, Detail, Forbidden, Invalid, NotFound, not_a_member, project_not_found
from atrium.ids import from_uuid, new_id, to_uuid
from atrium.models import Member, Page, Project, ProjectRow, Record, ShownTask, WholeProject
from atrium.permissions import Role
from atrium.store.access import Access, project_access, space_access
from atrium.store.engine.table import Item, Range, Rows, starting_with
from atrium.store.engine.work import Work
from atrium.text import MAX_TEXT, is_blank, name_problem

R = TypeVar("R", bound=Record)

# A description as JSON text. META holds it twice: in the field and in last_event.
MAX_DESCRIPTION_BYTES = 32 * 1024

# A project and its members must fit into one megabyte, which is what one query brings.
MAX_MEMBERS = 1_000

# How many tasks, and bytes of them, a project shows in the flat dialect: what is shown must also fit into one item, as
# the stored answer of a PUT. The rest is on the pages of GET /projects/{id}/tasks.
MAX_SHOWN_TASKS = 1_000
MAX_SHOWN_TASK_BYTES = 200_000
# The same in an answer that is stored to be repeated: a request of 62 bytes stores it for 30 days (decision 0039).
MAX_STORED_TASK_BYTES = 20_000

# How far into a project it is read for that. The table counts descriptions too, which are not shown.
_WHOLE_MEGABYTES = 4

# What the fields are called where they are shown.
_SHOWN_AS = {"manager": "manager_id", "client": "client_name"}

# The changes after which a project has something to show besides its own fields.
_GROWS = ("member.added", "task.created")

# What a space's list shows of a project, and its row there keeps. The tenant stands in the key.
_LISTED = tuple(field.name for field in fields(ProjectRow) if field.name != "tenant")


class Projects:
    """The projects of one tenant, as the caller of one request may see and change them."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._caller = work.caller
        self._me = keys.principal(self._caller.tenant, self._caller.principal)

    @property
    def default_space(self) -> str:
        """Where the flat dialect creates projects: the space with the tenant's own id."""
        return self._caller.tenant

    # ------------------------------------------------------------ reading

    def get(self, space: str, project: str) -> Project:
        """Raises NotFound (also for a project of another space) and Forbidden."""
        found, access, _ = open_project(self._work, project, space)
        access.require_project_read()
        return found

    def get_whole(self, project: str) -> WholeProject:
        """A project with its team and tasks. Raises NotFound and Forbidden."""
        (rows,) = self._work.read(self._me, ranges=[self._whole_range(project)])
        whole, access = self._whole(rows)
        access.require_project_read()
        return whole

    def list_space(self, space: str, *, status: str | None, limit: int, after: str | None) -> Page[ProjectRow]:
        """The space's projects that the caller may see, by age; a page may be short.

        A space role sees them all. Without one the caller sees the projects it is a member of, and pays a second
        round trip for them. Raises NotFound and Forbidden.
        """
        space_key = keys.space(self._caller.tenant, space)
        listed, joined = self._work.read(
            self._me,
            space_key,
            ranges=[
                starting_with(space_key.pk, keys.PROJECT, after, limit),
                starting_with(self._me.pk, keys.PROJECT, after, limit),
            ],
        )
        if self._work.item(space_key) is None:
            raise NotFound("Space not found.", Code.SPACE_NOT_FOUND)
        if space_access(self._caller, self._work.item(self._me), space).allows("project:read"):
            page, rows = listed, list(listed)
        else:
            page, rows = joined, self._rows_of(space, joined)
            if not rows and not page.more:
                if after is None:
                    raise Forbidden("You do not have access to this space.", Code.PROJECT_READ_REQUIRED)
                # Behind the end, or behind a made-up cursor: judged as without one.
                self.list_space(space, status=status, limit=limit, after=None)
        shown = [self._row(row) for row in rows if status in (None, row["status"])]
        return Page(tuple(shown), page[-1]["id"] if page.more else None)

    def list_all(self, *, limit: int, after: str | None) -> Iterator[Page[WholeProject]]:
        """Every project that the caller can read, by age, whole: a page in parts, each of which is read when it is
        asked for. Three round trips to the first one: who am I, what is there, how does it look now.

        The last part comes early when much had to be read: so there is a page in little time, whatever is stored.
        """
        listed_as = partial(starting_with, prefix=keys.PROJECT, after=after, limit=limit, only=("id", "bare"))
        (joined,) = self._work.read(self._me, ranges=[listed_as(self._me.pk)])
        me = self._work.item(self._me)
        spaces = [keys.space(self._caller.tenant, space).pk for space in me["spaces"]] if me else []
        listed = self._work.read(ranges=[listed_as(pk) for pk in spaces])
        sources = (joined, *listed)
        # Behind the end of a source that goes on, its next ids are not known.
        end = min((rows[-1]["id"] for rows in sources if rows.more), default=None)
        ids = sorted({row["id"] for rows in sources for row in rows if end is None or row["id"] <= end})
        bare = {row["id"] for rows in listed for row in rows if row.get("bare")}
        more = len(ids) > limit or end is not None
        ids = ids[:limit]
        units = 0.0
        for batch in _batches(ids, bare):
            shown: list[WholeProject] = []
            for rows in self._entries(batch, bare):
                units += rows.units
                try:
                    whole, access = self._whole(rows)
                except NotFound:  # deleted, since or not yet purged
                    continue
                if access.allows("project:read"):
                    shown.append(whole)
            yield Page(tuple(shown), batch[-1] if more or batch[-1] != ids[-1] else None)
            if units > MAX_LIST_UNITS:
                return

    # ------------------------------------------------------------ writing

    def create(self, space: str, *, name: str, client: str, description: str) -> Project:
        """A new project, its caller the named manager. `description` is JSON text. Raises NotFound, Forbidden,
        PreconditionFailed, Invalid.
        """
        _require_size(description)
        tenant, me = self._caller.tenant, self._caller.principal
        space_key = keys.space(tenant, space)
        self._work.read(self._me, space_key)
        if self._work.item(space_key) is None:
            raise NotFound("Space not found.", Code.SPACE_NOT_FOUND)
        access = space_access(self._caller, self._work.item(self._me), space)
        access.require("project:read", "You do not have access to this space.")
        self._work.replay()
        access.require("project:create", "You may not create projects in this space.")
        self._work.match(None)
        now = self._work.now
        project = Project(
            id=new_id(),
            tenant=tenant,
            space=space,
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
            bare=True,
        )
        member = Member(new_id(), tenant, project.id, me, Role.MANAGER, created_at=now, updated_at=now, version=1)
        access.hold(self._work)
        self._work.put(
            keys.project(tenant, project.id),
            {**vars(project), "last_event": _event(self._work, project, "project.created", project.resource())},
        )
        self._work.put(keys.space_project(tenant, space, project.id), list_row(project))
        self._work.put(keys.member(tenant, project.id, me), member_row(member))
        self._work.put(keys.principal_project(tenant, me, project.id), {"id": project.id, "space": space})
        return project

    def update(self, space: str, project: str, changes: Mapping[str, Any]) -> Project:
        """Changes some of `name`, `description` (JSON text), `status` and `manager` (a hand-over to another member).

        Raises NotFound, Forbidden, PreconditionFailed, Conflict when archived, Invalid.
        """
        heir = changes.get("manager")
        tenant = self._caller.tenant
        heir_key = keys.member(tenant, project, heir) if heir else None
        found, access, _ = open_project(self._work, project, space, *([heir_key] if heir_key else []))
        access.require_project_read()
        self._work.replay()
        if changes.keys() - {"manager"}:
            access.require("project:update", "You may not change this project.")
        if heir:
            access.require("project:transfer", "You may not hand this project over.")
        self._work.match(found.version)
        access.hold(self._work)
        changes = _anew(found, changes)
        if not changes:
            hold_project(self._work, found, "version")
            return found
        if changes.get("status") != "active":
            require_active(found)
        if "description" in changes:
            _require_size(changes["description"])
        if heir_key and "manager" in changes:
            self._hand_over(heir_key)
        return self._change(found, changes)

    def revise(self, project: str, *, name: str, client: str, description: str) -> WholeProject:
        """The flat dialect's update: `description` is text, and what equals the current value is left as it is stored.

        The answer shows team and tasks too, so it holds `sequence`. Raises NotFound, Forbidden, PreconditionFailed,
        Conflict when archived, Invalid.
        """
        (rows,) = self._work.read(self._me, ranges=[self._whole_range(project)])
        whole, access = self._whole(rows)
        found = whole.project
        if access.allows("project:read"):
            self._work.replay()
        if not access.covers(Role.MANAGER):
            raise Forbidden("Only the project manager can update this project.", Code.MANAGER_REQUIRED)
        self._work.match(found.sequence)
        access.hold(self._work)
        self._work.not_before(rows[0]["last_event"]["time"])
        changes = _anew(found, {"name": name, "client": client})
        if description != summary(found.description):
            changes["description"] = _with_summary(found.description, description)
        if not changes:
            hold_project(self._work, found, "sequence")
            return self._storable(whole)
        require_active(found)
        if "client" in changes and (problem := name_problem(client)):
            raise Invalid(Detail(("body", "clientName"), problem[1], problem[0]))
        if "description" in changes:
            _require_description(description)
            _require_size(changes["description"])
        self._work.check(
            keys.project(found.tenant, found.id), "#sequence = :seen_sequence", seen_sequence=found.sequence
        )
        return self._storable(replace(whole, project=self._change(found, changes)))

    def _storable(self, whole: WholeProject) -> WholeProject:
        """As much of it as an answer shows: with an Idempotency-Key, what is worth storing."""
        if not self._work.is_repeatable:
            return whole
        tasks = whole.tasks[: _fitting([task.name for task in whole.tasks], MAX_STORED_TASK_BYTES)]
        return whole if len(tasks) == len(whole.tasks) else replace(whole, tasks=tasks, after=tasks[-1].id)

    def delete(self, project: str, *, space: str | None = None) -> None:
        """Deletes a project at once and for good; `space` as in v1, None in the flat dialect.

        What hangs below it becomes unreachable in the same transaction and is purged later. Raises NotFound, Forbidden,
        PreconditionFailed.
        """
        found, access, _ = open_project(self._work, project, space)
        if space is None and not access.covers(Role.MANAGER):
            raise Forbidden("Only the project manager can delete this project.", Code.MANAGER_REQUIRED)
        access.require_project_read()
        access.require("project:delete", "You may not delete this project.")
        counter = "version" if space else "sequence"
        self._work.match(getattr(found, counter))
        access.hold(self._work)
        key = keys.project(found.tenant, found.id)
        change_project(self._work, found, "project.deleted", found.resource(), deleted_at=self._work.now)
        self._work.check(key, "#version = :seen_version", seen_version=found.version)
        if self._work.is_conditional:
            self._work.check(key, f"#{counter} = :seen", seen=getattr(found, counter))
        self._work.delete(keys.space_project(found.tenant, found.space, found.id), when=None)
        self._work.put(
            keys.purge(found.tenant, found.id),
            {"tenant": found.tenant, "project": found.id, "space": found.space, "deleted_at": self._work.now},
            when=None,
        )

    # ------------------------------------------------------------ parts

    def _change(self, found: Project, changes: Mapping[str, Any]) -> Project:
        """Writes the changed fields, at exactly the version that was read."""
        changed = replace(
            found,
            **changes,
            updated_at=self._work.now,
            version=found.version + 1,
            sequence=found.sequence + 1,
        )
        names = [_SHOWN_AS.get(name, name) for name in changes]
        written = {name: getattr(changed, name) for name in (*changes, "updated_at", "version")}
        change_project(self._work, found, "project.updated", changed.resource(), names, **written)
        _list(self._work, found, changed)
        return changed

    def _hand_over(self, heir: keys.Key) -> None:
        """The heir's row becomes a manager's; that it is a member, as it was read, holds at the commit."""
        row = self._work.item(heir)
        if row is None:
            raise not_a_member("manager_id")
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

    def _whole_range(self, project: str) -> Range:
        """META, members and tasks stand next to each other in a project's partition.

        A query is no snapshot: what commits meanwhile is seen behind the place where it is. META comes first, so an
        ETag may be older than what is shown with it, never newer.
        """
        pk = keys.project(self._caller.tenant, project).pk
        return _as_shown(keys.whole_project(pk), MAX_MEMBERS + 1 + MAX_SHOWN_TASKS)

    def _entries(self, projects: Sequence[str], bare: Set[str]) -> list[Rows]:
        """META of each project, then its members and tasks, of which only what is shown is brought. All there is of a
        bare project is META; one that has grown since it was listed is read again.

        Entries have no ETag, so it does not matter which of both is read first.
        """
        metas = [keys.project(self._caller.tenant, id) for id in projects]
        wide = [id for id in projects if id not in bare]
        below = dict(zip(wide, self._work.read(*metas, ranges=[self._below(id) for id in wide]), strict=True))
        found = {id: meta for id, key in zip(projects, metas, strict=True) if (meta := self._work.item(key))}
        grown = [id for id, meta in found.items() if id not in below and not meta.get("bare")]
        below |= zip(grown, self._work.read(ranges=[self._below(id) for id in grown]), strict=True)
        entries = ((found[id], below.get(id, Rows())) for id in projects if id in found)
        return [Rows([meta, *rows], rows.more, rows.units + _units(meta)) for meta, rows in entries]

    def _below(self, project: str) -> Range:
        span = keys.members_and_tasks(keys.project(self._caller.tenant, project).pk)
        return _as_shown(span, MAX_MEMBERS + MAX_SHOWN_TASKS, ("pk", "sk", "principal", "role", "id", "name", "status"))

    def _whole(self, rows: Rows) -> tuple[WholeProject, Access]:
        items = {row["sk"]: row for row in rows}
        meta = items.get(keys.META)
        if meta is None or "deleted_at" in meta:
            raise project_not_found()
        project = to_project(meta)
        members = [row["principal"] for sk, row in items.items() if sk.startswith(keys.ROLE)]
        tasks = _tasks(rows)
        shown = tasks[: _fitting([row["name"] for row in tasks], MAX_SHOWN_TASK_BYTES)]
        whole = WholeProject(
            project,
            team=tuple(principal for principal in members if principal != project.manager),
            tasks=tuple(ShownTask(row["id"], row["name"], row["status"]) for row in shown),
            after=shown[-1]["id"] if rows.more or len(shown) < len(tasks) else None,
        )
        mine = items.get(keys.ROLE + self._caller.principal)
        return whole, project_access(self._caller, self._work.item(self._me), project.space, mine)

    def _rows_of(self, space: str, joined: list[Item]) -> list[Item]:
        wanted = [keys.space_project(self._caller.tenant, space, row["id"]) for row in joined if row["space"] == space]
        self._work.read(*wanted)
        return [row for row in map(self._work.item, wanted) if row is not None]

    def _row(self, row: Item) -> ProjectRow:
        return ProjectRow(tenant=self._caller.tenant, **{name: row[name] for name in _LISTED})


# GET /projects reads so many projects at once, with so many among them that have more than META: each of these is a
# query, beside the batch of all METAs, and there are eight threads. It stops behind the batch in which it has taken so
# many capacity units, one for each 4 KB: 24 MB.
_BATCH, _WIDE = 64, 7
MAX_LIST_UNITS = 6_144


def _as_shown(span: keys.Span, limit: int, only: tuple[str, ...] = ()) -> Range:
    """The rows, as far as a project shows them."""
    return Range(*span, limit, _WHOLE_MEGABYTES, only, _shows_all_it_may)


def _units(meta: Item) -> float:
    """About what reading META takes: nothing else in it is large."""
    event = meta.get("last_event", {})
    return (len(meta.get("description", "")) + len(event.get("resource", ""))) / 4_096


def _batches(projects: Sequence[str], bare: Set[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    wide = 0
    for id in projects:
        if len(batch) == _BATCH or (wide == _WIDE and id not in bare):
            yield batch
            batch, wide = [], 0
        batch.append(id)
        wide += id not in bare
    if batch:
        yield batch


def open_project(
    work: Work, project: str, space: str | None, *also: keys.Key, ranges: Sequence[Range] = ()
) -> tuple[Project, Access, list[Rows]]:
    """Reads a project, what its caller may do, the items under `also` and the ranges, in one round trip.

    Returns the project, the access and the ranges' items. Raises NotFound, also when the project is not in `space`
    (None for any).
    """
    caller = work.caller
    meta_key = keys.project(caller.tenant, project)
    mine = keys.member(caller.tenant, project, caller.principal)
    me = keys.principal(caller.tenant, caller.principal)
    rows = work.read(meta_key, mine, me, *also, ranges=ranges)
    meta = work.item(meta_key)
    if meta is None or "deleted_at" in meta or space not in (None, meta["space"]):
        raise project_not_found()
    work.not_before(meta["last_event"]["time"])
    found = to_project(meta)
    return found, project_access(caller, work.item(me), found.space, work.item(mine)), rows


def require_active(project: Project) -> None:
    """Raises Archived."""
    if project.status == "archived":
        raise Archived


# Of META: the project is not deleted, and as active or archived as it was read.
_STANDS = "attribute_exists(#pk) AND attribute_not_exists(#deleted_at) AND #status = :seen_status"


def hold_project(work: Work, project: Project, counter: str | None = None) -> None:
    """Holds that a project is there as it was read: `counter` names what must not have counted on, its `version` or its
    `sequence`."""
    key = keys.project(project.tenant, project.id)
    work.check(key, _STANDS, seen_status=project.status)
    if counter:
        work.check(key, f"#{counter} = :seen_{counter}", **{f"seen_{counter}": getattr(project, counter)})


def change_project(
    work: Work,
    project: Project,
    type: str,
    resource: Mapping[str, Any],
    changed: Iterable[str] | None = None,
    joined: int = 0,
    **fields: Any,
) -> None:
    """Writes a change of a project, or of something below it, on META: the fields, one more in `sequence`, and the
    event that the table's stream publishes. `changed` names, for an update, what the resource has anew; `joined` is by
    how many its members grow. Holds that the project is not deleted, and active if it was read so.
    """
    if project.bare and type in _GROWS:
        fields["bare"] = False
        _list(work, project, replace(project, bare=False))
    sets = ", ".join(f"#{name} = :{name}" for name in ("last_event", *fields))
    key = keys.project(project.tenant, project.id)
    work.update(
        key,
        f"SET {sets} ADD #sequence :one, #members :joined",
        _STANDS,
        last_event=_event(work, replace(project, sequence=project.sequence + 1), type, resource, changed),
        one=1,
        joined=joined,
        seen_status=project.status,
        **fields,
    )
    if joined > 0:
        work.check(key, "#members < :most_members", most_members=MAX_MEMBERS)


def _anew(found: Project, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes that change something."""
    return {name: value for name, value in changes.items() if value != getattr(found, name)}


def summary(description: str) -> str:
    """What the flat dialect shows of a description (JSON text): a string, an object's summary, or nothing."""
    value = documents.parse(description)
    shown = value.get("summary") if isinstance(value, dict) else value
    return shown if isinstance(shown, str) else ""


def to_project(meta: Item) -> Project:
    return Project(**{name: meta[name] for name in Project.__dataclass_fields__ if name in meta})


def list_row(project: Project) -> Item:
    """The project's row in its space's list."""
    return {name: getattr(project, name) for name in (*_LISTED, "bare")}


def _list(work: Work, seen: Project, changed: Project) -> None:
    """Writes the row of the space's list anew. What it repeats of META is there as it was seen, or changed by this."""
    key = keys.project(seen.tenant, seen.id)
    work.check(key, "#version = :seen_version", seen_version=seen.version)
    if seen.bare:
        work.check(key, "#bare = :seen_bare", seen_bare=True)
    # Whatever stands there: META holds this change, and a row that was lost is there again.
    work.put(keys.space_project(seen.tenant, seen.space, seen.id), list_row(changed), when=None)


def member_row(member: Member) -> Item:
    """The member's row in its project."""
    return {
        "id": member.membership,
        "principal": member.principal,
        "role": member.role.key,
        "created_at": member.created_at,
        "updated_at": member.updated_at,
        "version": member.version,
    }


def to_record(kind: type[R], project: Project, row: Item) -> R:
    own = {field.name: row[field.name] for field in fields(kind) if field.name in row}
    return kind(tenant=project.tenant, space=project.space, project=project.id, **own)


def row_of(type: str, resource: Mapping[str, Any], time: str) -> tuple[str, str | None]:
    """The row of a project's partition that an event is about: its sort key, and the moment that it has of the change;
    None where the change removed it. Raises KeyError and ValueError for what is no event."""
    kind, _, what = type.partition(".")
    match kind:
        case "project":
            row = keys.META
        case "member":
            row = keys.ROLE + from_uuid(resource["principal_id"])
        case "note":
            row = keys.notes(from_uuid(resource["task_id"])) + from_uuid(resource["id"])
        case _:
            row = keys.records(kind) + from_uuid(resource["id"])
    return row, None if what in ("deleted", "removed") else time


def _event(
    work: Work, changed: Project, type: str, resource: Mapping[str, Any], names: Iterable[str] | None = None
) -> Item:
    """The event of a change that gives a project this sequence, or a later one. The idempotency record tells of the
    change too."""
    row, at = row_of(type, resource, work.now)
    work.tell({"project": changed.id, "sequence": changed.sequence, "row": row} | ({"at": at} if at else {}))
    event = {
        "id": new_id(),
        "type": type,
        "time": work.now,
        "actor": {"principal_id": to_uuid(work.caller.principal), "kind": work.caller.kind},
        "resource": documents.render(resource),
    }
    return event if names is None else event | {"changed": sorted(names)}


def _with_summary(description: str, text: str) -> str:
    value = documents.parse(description)
    if isinstance(value, str):
        return documents.render(text)
    return documents.render((value or {}) | {"summary": text})


def _require_description(text: str) -> None:
    if is_blank(text):
        raise Invalid(Detail(("body", "description"), "Must not be empty", "string_too_short"))
    if len(text) > MAX_TEXT:
        message = f"Must have at most {MAX_TEXT} characters"
        raise Invalid(Detail(("body", "description"), message, "string_too_long"))


def _require_size(description: str) -> None:
    if len(description.encode()) > MAX_DESCRIPTION_BYTES:
        kilobytes = MAX_DESCRIPTION_BYTES // 1024
        raise Invalid(Detail(("body", "description"), f"Must have at most {kilobytes} KB as JSON", "too_long"))


def _tasks(rows: Iterable[Item]) -> list[Item]:
    return [row for row in rows if row["sk"].startswith(keys.TASK)]


def _fitting(names: Sequence[str], most: int) -> int:
    """How many tasks with these names fit into so many bytes of a project's entry."""
    size = 0
    for number, name in enumerate(names[:MAX_SHOWN_TASKS]):
        size += 100 + len(documents.render(name).encode())
        if size > most:
            return number
    return min(len(names), MAX_SHOWN_TASKS)


def _shows_all_it_may(rows: Sequence[Item]) -> bool:
    tasks = _tasks(rows)
    return _fitting([row["name"] for row in tasks], MAX_SHOWN_TASK_BYTES) < len(tasks)
