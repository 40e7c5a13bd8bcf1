"""Records of a project: tasks, datasets, experiments and decisions.

A record is one row in its project's partition, so it can be reached under its own project only. Each write of one is
that row and META of the project. Two changes of one record both hold the version that they decided on, so the second
one decides again on what the first one made; a write and the project's deletion meet on META, so nothing is added to
a deleted project. A process that dies leaves all of a change or nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from atrium import keys
from atrium.errors import Code, NotFound
from atrium.ids import new_id
from atrium.keys import Key
from atrium.models import Dataset, Decision, Experiment, Page, Project, Record, Report, Task, timestamp
from atrium.store.change import ANYWHERE, Opened, Way, begin_change, open_project, read_project
from atrium.store.engine.table import Item, Range, starting_with
from atrium.store.engine.work import Work
from atrium.store.rows import record_row, to_record, to_records

R = TypeVar("R", bound=Record)

# A task in work that nobody has touched for longer than this is stalled.
STALLED_AFTER = timedelta(days=7)
_IN_WORK = ("onHold", "inProgress", "underReview")

# A page of records ends here: an answer may have 6 MB, and text may double on its way into JSON.
_PAGE_MEGABYTES = 2


class Records(Generic[R]):
    """The records of one kind, as the caller of one request may see and change them.

    Every method raises NotFound for a project, or a record, that is not there, and Forbidden.
    """

    def __init__(self, work: Work, way: Way, kind: type[R]) -> None:
        self._work = work
        self._way = way
        self._tenant = work.caller.tenant
        self._kind = kind

    def list(self, project: str, *, phase: str | None = None, limit: int, after: str | None) -> Page[R]:
        """By age. A page may be short: of one phase, or of large records."""
        pk = keys.project(self._tenant, project).pk
        wanted = starting_with(pk, keys.records(self._kind.kind), after, limit, _PAGE_MEGABYTES)
        opened = read_project(self._work, self._way, project, ranges=[wanted])
        (rows,) = opened.rows
        shown = [to_record(self._kind, opened.project, row) for row in rows if phase in (None, row["phase"])]
        return Page(tuple(shown), rows[-1]["id"] if rows.more else None)

    def get(self, project: str, id: str) -> R:
        return self._found(read_project(self._work, self._way, project, self._key(project, id)).project, id)

    def create(self, project: str, fields: Mapping[str, Any]) -> R:
        """Raises VersionRefused, Conflict when the project is archived."""
        opened = open_project(self._work, self._way, project, *self._named(project, fields))
        change, _ = begin_change(self._work, opened, "record:write", judge=lambda: (None, None))
        now = self._work.now
        record = self._kind(
            id=new_id(),
            tenant=self._tenant,
            space=opened.project.space,
            project=project,
            created_by=self._work.caller.principal,
            created_at=now,
            updated_at=now,
            version=1,
            **self._first(fields),
        )
        self._require_named(record, None)
        change.write(f"{self._kind.kind}.created", record.resource())
        self._work.put(self._key(project, record.id), record_row(record))
        return record

    def update(self, project: str, id: str, changes: Mapping[str, Any]) -> R:
        """A record to which nothing happens keeps its version. Raises VersionRefused, Conflict when the project is
        archived."""
        key = self._key(project, id)
        opened = open_project(self._work, self._way, project, key, *self._named(project, changes))
        change, record = begin_change(
            self._work, opened, "record:write", judge=lambda: self._judged(opened, id), archived="no change"
        )
        if self._way.shows_whole:
            self._hold_whole(record)
        before, following = record.fields(), self._next(record, changes)
        names = [name for name in following if following[name] != before[name]]
        if not names:
            change.nothing()
            self._work.check(key, "#version = :seen_version", seen_version=record.version)
            return record
        change.require_active()
        changed = replace(record, **following, updated_at=self._work.now, version=record.version + 1)
        self._require_named(changed, record)
        after = changed.fields()
        change.write(f"{self._kind.kind}.updated", changed.resource(), names)
        written = {name: after[name] for name in names} | {"updated_at": changed.updated_at, "version": changed.version}
        self._work.update(
            key,
            "SET " + ", ".join(f"#{name} = :{name}" for name in written),
            "#version = :seen_version",
            seen_version=record.version,
            **written,
        )
        return changed

    def delete(self, project: str, id: str) -> None:
        """Raises VersionRefused, Conflict when the project is archived."""
        key = self._key(project, id)
        opened = open_project(self._work, self._way, project, key)
        change, record = begin_change(self._work, opened, "record:write", judge=lambda: self._judged(opened, id))
        if self._way.shows_whole and self._work.is_conditional:
            self._hold_whole(record)
        change.write(f"{self._kind.kind}.deleted", record.resource())
        self._work.delete(key, "#version = :seen_version", seen_version=record.version)
        self._left_behind(record)

    # ------------------------------------------------------------ what a kind has of its own

    def _named(self, _project: str, _fields: Mapping[str, Any]) -> Sequence[Key]:
        """The rows of what the fields name."""
        return ()

    def _require_named(self, record: R, before: R | None) -> None:
        """Holds that what the record names anew is there."""

    def _first(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """All fields of a new record."""
        return fields

    def _next(self, _record: R, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """The changes, and what follows from them."""
        return changes

    def _hold_whole(self, record: R) -> None:
        """Holds until the commit what is shown with the record."""

    def _left_behind(self, record: R) -> None:
        """Notes what a deleted record leaves to be purged."""

    # ------------------------------------------------------------ parts

    def _judged(self, opened: Opened, id: str) -> tuple[R, int | str]:
        """A record and the version of it that is shown. Raises NotFound."""
        record = self._found(opened.project, id)
        return record, record.whole_version if self._way.shows_whole else record.version

    def _key(self, project: str, id: str) -> Key:
        return keys.record(self._tenant, project, self._kind.kind, id)

    def _found(self, project: Project, id: str) -> R:
        row = self._work.item(self._key(project.id, id))
        if row is None:
            raise not_found(self._kind.kind)
        self._work.not_before(row["updated_at"])
        return to_record(self._kind, project, row)


def not_found(kind: str) -> NotFound:
    return NotFound(f"{kind.title()} not found.", Code[f"{kind}_not_found".upper()])


class Reports:
    """What projects have, in one piece."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def of(self, project: str) -> Report:
        """All records, as far as a megabyte of tasks and one of the others go. Raises NotFound and Forbidden."""
        pk = keys.project(self._work.caller.tenant, project).pk
        tasks = starting_with(pk, keys.TASK, None, _MAX_REPORTED)
        others = Range(*keys.report(pk), _MAX_REPORTED)
        opened = read_project(self._work, ANYWHERE, project, ranges=[tasks, others])
        found, (task_rows, other_rows) = opened.project, opened.rows
        shown = to_records(Task, found, task_rows)
        long_ago = timestamp(datetime.now(UTC) - STALLED_AFTER)
        after: dict[str, str | None] = {Task.kind: shown[-1].id} if task_rows.more else {}
        return Report(
            tasks=shown,
            datasets=to_records(Dataset, found, other_rows),
            experiments=to_records(Experiment, found, other_rows),
            decisions=to_records(Decision, found, other_rows),
            stalled=tuple(task for task in shown if task.status in _IN_WORK and task.updated_at < long_ago),
            after=after | (_cut_off(other_rows[-1]) if other_rows.more else {}),
        )


# More than a megabyte holds.
_MAX_REPORTED = 10_000


def _cut_off(last: Item) -> dict[str, str | None]:
    """What is missing behind a row: the rest of its kind, and the kinds that sort behind it."""
    order = keys.REPORTED
    (reached,) = (kind for kind in order if last["sk"].startswith(keys.records(kind)))
    return {reached: last["id"]} | dict.fromkeys(order[order.index(reached) + 1 :])
