"""How a project is opened, and the one way in which it, or something below it, is changed.

A write is judged in one order, whatever it changes, and `permit` is that order: may the caller read (then a request
that was answered before is answered the same), has it each permission, is the thing there and do its own rules allow
it, is its version the one that the request names. What holds the caller's role until the commit is part of it. A
change of a project goes through `begin_change`, which adds that the project is active; only it makes a `Change` for a
request, and only a `Change` writes META: so no write leaves a step out. A purge makes one without being judged, since
the deletion that it finishes was (atrium.store.departures).

What two changes of one project may leave behind. Each writes META of the project, so they commit one after the other,
and each rests on conditions: where the first one broke them, the second one reads and decides again. A change of the
project's own fields holds `version`, and so does its deletion, whose event tells what was deleted; a change below it
only raises `sequence`, so many can follow each other without a retry. Deleting sets `deleted_at`, and every other
change has the condition that it is absent: nothing is added to a deleted project. A process that dies leaves all of a
change or nothing, since a change is one transaction.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, TypeVar

from atrium import keys
from atrium.errors import Archived, project_not_found
from atrium.models import Project, moment_of
from atrium.permissions import Permission
from atrium.store.access import Access, Requirement, project_access
from atrium.store.engine.table import Range, Rows
from atrium.store.engine.work import Work
from atrium.store.ledger import Root, tell
from atrium.store.rows import list_row, row_of, to_project

T = TypeVar("T")

# A project and its members must fit into one megabyte, which is what one query brings.
MAX_MEMBERS = 1_000

# The changes after which a project has something to show besides its own fields.
_GROWS = ("member.added", "task.created")

# META of a project that is not deleted, and as active or archived as it was read.
_STANDS = "attribute_exists(#pk) AND attribute_not_exists(#deleted_at) AND #status = :seen_status"


class Way(NamedTuple):
    """A way in to projects: those of one space, or those of any (None).

    `shows_whole` says that a thing is shown with what hangs below it (a project with its team and tasks, a task with
    its notes), so that its version counts these too.
    """

    space: str | None
    shows_whole: bool


def in_space(space: str) -> Way:
    return Way(space, shows_whole=False)


ANYWHERE = Way(None, shows_whole=True)


class Opened(NamedTuple):
    """A project as a request has read it, its caller's access, and the ranges that were read with it."""

    project: Project
    access: Access
    rows: Sequence[Rows] = ()


def open_project(work: Work, way: Way, project: str, *also: keys.Key, ranges: Sequence[Range] = ()) -> Opened:
    """Reads a project, what its caller may do, the items under `also` and the ranges, in one round trip. Raises
    NotFound, also for a project that this way does not lead to."""
    caller = work.caller
    meta_key = keys.project(caller.tenant, project)
    mine = keys.member(caller.tenant, project, caller.principal)
    rows = work.read(meta_key, mine, *also, ranges=ranges)
    meta = work.item(meta_key)
    if meta is None or way.space not in (None, meta["space"]):
        raise project_not_found()
    found = to_project(meta)
    work.not_before(moment_of(found.last_events[-1]))
    return Opened(found, project_access(work, found.space, project, work.item(mine)), rows)


def read_project(work: Work, way: Way, project: str, *also: keys.Key, ranges: Sequence[Range] = ()) -> Opened:
    """Opens a project for a caller that may read it. Raises NotFound and Forbidden."""
    opened = open_project(work, way, project, *also, ranges=ranges)
    opened.access.require("project:read")
    return opened


# ---------------------------------------------------------------- the order in which a write is judged


def permit(
    work: Work,
    access: Access,
    requires: Sequence[Requirement],
    judge: Callable[[], tuple[T, int | str | None]],
    *,
    reads: Permission | None = "project:read",
) -> T:
    """Judges a write, and returns what `judge` found. `judge` applies the thing's own rules and returns the thing with
    the version that the request's conditions are about, None for a thing that is only being made. `reads` is the
    permission to read the thing, None where the caller may without any.

    Raises Replay, Forbidden, VersionRefused, and what `judge` raises.
    """
    if reads is None or access.allows(reads):
        work.replay()
    for requirement in (*requires, *([reads] if reads else [])):
        access.require(requirement)
    found, version = judge()
    work.match(version)
    access.hold(work)
    return found


def differing(found: object, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes that change something."""
    return {name: value for name, value in changes.items() if value != getattr(found, name)}


# The requests that an archived project takes: none, those that turn out to change nothing, or changes.
Takes = Literal["nothing", "no change", "changes"]


def begin_change(
    work: Work,
    opened: Opened,
    *requires: Requirement,
    judge: Callable[[], tuple[T, int | str | None]],
    archived: Takes = "nothing",
) -> tuple["Change", T]:
    """Judges a change of an opened project, or of something below it. Raises what `permit` raises, and Archived."""
    found = permit(work, opened.access, requires, judge)
    change = Change(work, opened.project, archived)
    if archived == "nothing":
        change.require_active()
    return change, found


class Change:
    """A change that is permitted: of a project as it was read, or of something below it."""

    def __init__(self, work: Work, project: Project, archived: Takes) -> None:
        self._work = work
        self._archived = archived
        # The attributes to write on META, and by how many its members grow.
        self._fields: dict[str, Any] = {}
        self._joined = 0
        self.project = project
        self.key = keys.project(project.tenant, project.id)

    def require_active(self) -> None:
        """Raises Archived, unless an archived project takes this change."""
        if self.project.status == "archived" and self._archived != "changes":
            raise Archived

    def nothing(self, counter: Literal["version", "sequence"] | None = None) -> None:
        """All is as it should be already. Holds that the project is there as it was read, and that this counter has
        not counted on."""
        self._work.check(self.key, _STANDS, seen_status=self.project.status)
        if counter:
            self.hold(counter)

    def hold(self, counter: Literal["version", "sequence"]) -> None:
        """Holds that a counter of the project is as it was read."""
        self._work.check(self.key, f"#{counter} = :seen_{counter}", **{f"seen_{counter}": vars(self.project)[counter]})

    def write(
        self,
        type: str,
        resource: Mapping[str, Any],
        changed: Iterable[str] | None = None,
        joined: int = 0,
        **fields: Any,
    ) -> None:
        """Writes the change on META, the fields and one more in `sequence`, and its event in the ledger. The image of
        META in the table's stream has the event published. `changed` names, for an update, what the resource has anew;
        `joined` is by how many its members grow. A change of several parts is written part by part, and counted by
        as many. Holds that the project is not deleted, and active if it was read so. Raises Archived.
        """
        self.require_active()
        if self.project.is_childless and type in _GROWS:
            fields["bare"] = False
            grown = replace(self.project, is_childless=False)
            self.list(grown)
            self.project = grown
        project = self.project
        self._fields |= fields
        self._joined += joined
        sets = ", ".join(f"#{name} = :{name}" for name in ("last_events", *self._fields))
        events = record(self._work, replace(project, sequence=project.sequence + 1), type, resource, changed)
        self._work.update(
            self.key,
            f"SET {sets} ADD #sequence :told, #members :joined",
            _STANDS,
            last_events=events,
            told=len(events),
            joined=self._joined,
            seen_status=project.status,
            **self._fields,
        )
        if self._joined > 0:
            self._work.check(self.key, "#members < :most_members", most_members=MAX_MEMBERS)

    def list(self, changed: Project) -> None:
        """Writes the row of the space's list anew. Fails at the commit if META has changed since it was read."""
        seen = self.project
        self.hold("version")
        if seen.is_childless:
            self._work.check(self.key, "#bare = :seen_bare", seen_bare=True)
        # Without a condition on the row itself: one that was lost is there again.
        self._work.put(keys.space_project(seen.tenant, seen.space, seen.id), list_row(changed), when=None)


def record(
    work: Work, changed: Project, type: str, resource: Mapping[str, Any], names: Iterable[str] | None = None
) -> list[str]:
    """Writes the event of a change that gives a project this sequence, or a later one. The idempotency record tells of
    the change too. Returns the ids of the change's events."""
    root = Root(keys.project(changed.tenant, changed.id), changed.space, changed.id, last_events=changed.last_events)
    id = tell(work, root, type, resource, names)
    row, at = row_of(type, resource, moment_of(id))
    work.tell({"project": changed.id, "sequence": changed.sequence, "row": row} | ({"at": at} if at else {}))
    return work.events[root.key]
