"""Tasks, datasets, experiments and decisions, and the report on them."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from tests.model.answers import ARCHIVED, NO_PROJECT, NOT_RECORDS, Expected, invalid, require
from tests.model.fields import KINDS, STALLED
from tests.model.kernel import Kernel
from tests.model.state import Project, Record, version_of


def _stored(name: str, value: Any) -> Any:
    """The stored form of a field."""
    if name == "name":
        return value.strip()
    if name == "acquisition_date" and value:
        return f"{value}T00:00:00.000Z"
    return value or None if name == "assigned_to" else value


class Records(Kernel):
    def list_records(self, kind: str) -> Expected:
        project = self._open_to("project:read", NO_PROJECT)
        page, more = self._page(project.records[kind], 20 if self.v1 else 1000)
        found = [project.records[kind][id] for id in page]
        wanted = self.call.query.get("phase")
        return self._listed(
            [self._record(project, one) for one in found if wanted in (None, one.fields["phase"])], more
        )

    def get_record(self, kind: str) -> Expected:
        project = self._open_to("project:read", NO_PROJECT)
        record = self._the_record(project, kind)
        notes = {"notes": self._notes(record)} if not self.v1 else {}
        return Expected(200, self._record(project, record) | notes, etag=self._record_tag(record))

    def create_record(self, kind: str) -> Expected:
        project = self._open_to("record:write", NOT_RECORDS, replays=True)
        self._match_nothing()
        require(not project.is_archived, ARCHIVED)
        self._require_assignee(project, None)
        required, others = KINDS[kind]
        fields = {name: self.body.get(name, others.get(name)) for name in (*required, *others)}
        record = Record(kind, self.fresh, {}, self.call.by, self.now, self.now)
        if kind == "task":
            record.fields = {"status": "pending", "started_at": None, "finished_at": None, "completed_by": []}
        record.fields |= self._next(record, fields)
        project.records[kind][record.id] = record
        self._commit(project, f"{kind}.created", self._v1_record(project, record))
        return Expected(201, self._record(project, record), etag=self._record_tag(record))

    def update_record(self, kind: str, changes: Callable[[Record], dict[str, Any]] | None = None) -> Expected:
        project = self._open_to("record:write", NOT_RECORDS, replays=True)
        record = self._the_record(project, kind)
        self._match(version_of(self.call.route, record))
        following = self._next(record, changes(record) if changes else self.body)
        changed = [name for name, value in following.items() if value != record.fields[name]]
        if not changed:
            self.succeeded = True
            return Expected(200, self._record(project, record), etag=self._record_tag(record))
        require(not project.is_archived, ARCHIVED)
        self._require_assignee(project, record)
        record.fields |= following
        record.version += 1
        record.updated_at = self.now
        self._commit(project, f"{kind}.updated", self._v1_record(project, record), changed)
        return Expected(200, self._record(project, record), etag=self._record_tag(record))

    def delete_record(self, kind: str) -> Expected:
        project = self._open_to("record:write", NOT_RECORDS)
        record = self._the_record(project, kind)
        self._match(version_of(self.call.route, record))
        require(not project.is_archived, ARCHIVED)
        self._commit(project, f"{kind}.deleted", self._v1_record(project, record))
        del project.records[kind][record.id]
        return self._done(f"{kind.title()} deleted successfully.")

    def toggle_completed(self) -> Expected:
        return self.update_record("task", lambda task: {"completed": not task.fields["completed"]})

    def reassign(self) -> Expected:
        answer = self.update_record("task")
        return Expected(200, {"message": "Task reassigned successfully.", "task": answer.body})

    def report(self) -> Expected:
        """A task in progress is stalled when its last change is more than seven days ago."""
        project = self._open_to("project:read", NO_PROJECT)
        shown = {f"{kind}s": [project.records[kind][id] for id in sorted(project.records[kind])] for kind in KINDS}
        shown["stalledTasks"] = [
            task
            for task in shown["tasks"]
            if task.fields["status"] in STALLED and self.now.begun - task.updated_at.begun > timedelta(days=7)
        ]
        return Expected(200, {name: [self._record(project, one) for one in found] for name, found in shown.items()})

    def _require_assignee(self, project: Project, before: Record | None) -> None:
        """Refuses a new assignee who is not a member."""
        name = self.body.get("assigned_to")
        is_new = name and (before is None or before.fields.get("assigned_to") != name)
        not_there = invalid("assigned_to", "Must be a member of the project", "not_a_member")
        require(not is_new or name in project.members, not_there)

    def _next(self, record: Record, changes: dict[str, Any]) -> dict[str, Any]:
        """The changes as they are stored, with the fields that follow from a new status."""
        following = {name: _stored(name, value) for name, value in changes.items()}
        status, before = following.get("status"), record.fields.get("status")
        if status in (None, before):
            return following
        entry = {"principal": self.call.by, "status": status, "at": self.now}
        return following | {
            "started_at": record.fields["started_at"] or (self.now if before == "pending" else None),
            "finished_at": self.now if status == "completed" else None,
            "completed_by": [*record.fields["completed_by"], entry],
        }


OPERATIONS: dict[str, Callable[[Records], Expected]] = {
    "GetReport": Records.report,
    "GetTask": partial(Records.get_record, kind="task"),
    "UpdateTask": partial(Records.update_record, kind="task"),
    "SetTaskStatus": partial(Records.update_record, kind="task"),
    "SetTaskPhase": partial(Records.update_record, kind="task"),
    "ToggleTaskCompleted": Records.toggle_completed,
    "ReassignTask": Records.reassign,
}
for _kind in KINDS:
    _title = _kind.title()
    OPERATIONS |= {
        **{f"{dialect}List{_title}s": partial(Records.list_records, kind=_kind) for dialect in ("", "V1")},
        **{f"{dialect}Create{_title}": partial(Records.create_record, kind=_kind) for dialect in ("", "V1")},
        **{f"{dialect}Delete{_title}": partial(Records.delete_record, kind=_kind) for dialect in ("", "V1")},
        f"V1Get{_title}": partial(Records.get_record, kind=_kind),
        f"V1Update{_title}": partial(Records.update_record, kind=_kind),
    }
