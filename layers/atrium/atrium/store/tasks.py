"""Tasks: records with a status, an assignee and notes.

An assignment holds that the assignee is a member when it commits. Removing a member later leaves its assignments as
they are, as a record of who was on it; nobody can be assigned anew who is not a member.

A change of a note is counted on its task, and so holds that the task is there when it commits; a deleted task leaves a
row in the purge queue, in the same transaction: so every note either has a task, or is in a queue to be removed. A
change whose answer shows the task with its notes holds that count too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from atrium import keys
from atrium.errors import Code, Forbidden, NotFound, not_a_member
from atrium.ids import new_id
from atrium.keys import Key
from atrium.models import Note, Page, Task
from atrium.store.change import Way, begin_change, open_project, read_project
from atrium.store.deletion import Deletion
from atrium.store.engine.table import Range, starting_with
from atrium.store.engine.work import Work
from atrium.store.records import Records
from atrium.store.rows import note_row, to_note


class _Shown(str):
    """A deadline as it may have been shown."""


# A task shows the latest changes of its status; all of them are on the event bus.
MAX_STATUS_CHANGES = 100

# A checkbox that becomes what it is not. What that is, is known only where the task was read.
_TOGGLED = object()

# A change of a note raises a counter of its task: some answers show both together.
_NOTED = "ADD #note_changes :one"

# A task is shown with as many notes as one read brings; the list of its notes has all.
_MAX_SHOWN_NOTES = 1_000


class Tasks(Records[Task]):
    """The tasks of projects, and the notes on them."""

    def __init__(self, work: Work, way: Way) -> None:
        super().__init__(work, way, Task)

    def get_with_notes(self, project: str, id: str) -> tuple[Task, Page[Note]]:
        """A task and its notes, the oldest first, as many as one read brings. A task that has had some takes a second
        round trip: the task first, so that its version may be older than what is shown with it, never newer. Raises
        NotFound and Forbidden.
        """
        task = self.get(project, id)
        if not task.note_changes:
            return task, Page((), None)
        (rows,) = self._work.read(ranges=[self._notes(project, id, _MAX_SHOWN_NOTES, None)])
        notes = tuple(to_note(task, row) for row in rows)
        return task, Page(notes, notes[-1].id if rows.more else None)

    def revise(self, project: str, id: str, changes: Mapping[str, Any]) -> Task:
        """A change by one who is shown every deadline as a moment: a day that is sent back so stays a day. Raises what
        `update` raises."""
        deadline = changes.get("deadline")
        return self.update(project, id, {**changes, "deadline": _Shown(deadline)} if deadline else changes)

    def toggle_completed(self, project: str, id: str) -> Task:
        """Raises what `update` raises."""
        return self.update(project, id, {"completed": _TOGGLED})

    # ------------------------------------------------------------ notes

    def list_notes(self, project: str, task: str, *, limit: int, after: str | None) -> Page[Note]:
        """A task's notes, by age. Raises NotFound and Forbidden."""
        wanted = [self._notes(project, task, limit, after)]
        opened = read_project(self._work, self._way, project, self._key(project, task), ranges=wanted)
        noted = self._found(opened.project, task)
        (rows,) = opened.rows
        notes = tuple(to_note(noted, row) for row in rows)
        return Page(notes, notes[-1].id if rows.more else None)

    def add_note(self, project: str, task: str, content: str) -> Note:
        """Raises NotFound, Forbidden, VersionRefused, Conflict when the project is archived."""
        opened = open_project(self._work, self._way, project, self._key(project, task))
        change, _ = begin_change(
            self._work, opened, "record:write", judge=lambda: (self._found(opened.project, task), None)
        )
        note = Note(
            id=new_id(),
            tenant=self._tenant,
            space=opened.project.space,
            project=project,
            task=task,
            content=content,
            created_by=self._work.caller.principal,
            created_at=self._work.now,
        )
        self._work.update(self._key(project, task), _NOTED, one=1)
        change.write("note.created", note.resource())
        self._work.put(keys.note(self._tenant, project, task, note.id), note_row(note))
        return note

    def delete_note(self, project: str, task: str, id: str) -> None:
        """For its author alone. Raises NotFound, Forbidden, VersionRefused, Conflict when the project is
        archived."""
        key = keys.note(self._tenant, project, task, id)
        opened = open_project(self._work, self._way, project, self._key(project, task), key)

        def judge() -> tuple[Note, int]:
            noted = self._found(opened.project, task)
            row = self._work.item(key)
            if row is None:
                raise NotFound("Note not found.", Code.NOTE_NOT_FOUND)
            opened.access.require("record:write")
            if row["created_by"] != self._work.caller.principal:
                raise Forbidden("Only its author can delete a note.", Code.NOT_AUTHOR)
            return to_note(noted, row), Note.version

        change, note = begin_change(self._work, opened, "project:read", judge=judge)
        self._work.update(self._key(project, task), _NOTED, one=1)
        change.write("note.deleted", note.resource())
        self._work.delete(key)

    def _notes(self, project: str, task: str, limit: int, after: str | None) -> Range:
        return starting_with(keys.project(self._tenant, project).pk, keys.notes(task), after, limit)

    # ------------------------------------------------------------ what tasks have of their own

    def _named(self, project: str, fields: Mapping[str, Any]) -> Sequence[Key]:
        assignee = fields.get("assigned_to")
        return [keys.member(self._tenant, project, assignee)] if assignee else []

    def _require_named(self, task: Task, before: Task | None) -> None:
        if task.assigned_to is None or (before is not None and before.assigned_to == task.assigned_to):
            return
        key = keys.member(self._tenant, task.project, task.assigned_to)
        if self._work.item(key) is None:
            raise not_a_member("assigned_to")
        self._work.check(key, "attribute_exists(#pk)")

    def _first(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        status = fields.get("status", "pending")
        new = {"started_at": None, "finished_at": None, "completed_by": [], "completed": False, **fields}
        return new | (self._status(None, "pending", [], status) if status != "pending" else {"status": status})

    def _next(self, task: Task, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        following = dict(changes)
        if isinstance(deadline := changes.get("deadline"), _Shown):
            following["deadline"] = task.deadline if deadline == task.due else str(deadline)
        if changes.get("completed", task.completed) is _TOGGLED:
            following["completed"] = not task.completed
        if changes.get("status", task.status) != task.status:
            following |= self._status(task.started_at, task.status, task.completed_by, changes["status"])
        return following

    def _status(
        self, started_at: str | None, before: str, changes: Sequence[dict[str, str]], status: str
    ) -> dict[str, Any]:
        """What a new status brings with it."""
        now = self._work.now
        entry = {"principal": self._work.caller.principal, "status": status, "at": now}
        return {
            "status": status,
            "started_at": started_at or (now if before == "pending" else None),
            "finished_at": now if status == "completed" else None,
            "completed_by": [*changes, entry][-MAX_STATUS_CHANGES:],
        }

    def _hold_whole(self, task: Task) -> None:
        key, seen = self._key(task.project, task.id), task.note_changes
        self._work.check(key, "#note_changes = :seen_note_changes", seen_note_changes=seen)

    def _left_behind(self, task: Task) -> None:
        deletion = Deletion("task", task.tenant, self._work.now, project=task.project, task=task.id)
        self._work.put(deletion.queued, deletion.row)
