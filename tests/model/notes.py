"""Notes on tasks."""

from collections.abc import Callable
from typing import Any

from tests.model.answers import ARCHIVED, NO_PROJECT, NOT_RECORDS, Expected, Refused, not_found, require
from tests.model.fields import may
from tests.model.kernel import Kernel
from tests.model.state import Note, Project, Record


class Notes(Kernel):
    def list_notes(self) -> Expected:
        project = self._open_to("project:read", NO_PROJECT)
        task = self._the_record(project, "task")
        page, more = self._page(task.notes, 20 if self.v1 else 1000)
        return self._listed([self._shown_note(project, task, task.notes[id]) for id in page], more)

    def add_note(self) -> Expected:
        project = self._open_to("record:write", NOT_RECORDS, replays=True)
        task = self._the_record(project, "task")
        self._match_nothing()
        require(not project.is_archived, ARCHIVED)
        note = Note(self.fresh, self.body["content"], self.call.by, self.now)
        task.notes[note.id] = note
        task.note_changes += 1
        self._commit(project, "note.created", self._v1_note(project, task, note))
        return Expected(201, self._shown_note(project, task, note), etag=self._tag(1))

    def delete_note(self) -> Expected:
        """Only the author may delete a note, while it has the permission to write."""
        project, rank = self._open()
        require(rank, NO_PROJECT)
        task = self._the_record(project, "task")
        require(self.call.note in task.notes, not_found("Note"))
        require(may(rank, "record:write"), NOT_RECORDS)
        note = task.notes[self.call.note]
        require(note.created_by == self.call.by, Refused(403, "Only its author can delete a note."))
        self._match(1)
        require(not project.is_archived, ARCHIVED)
        self._commit(project, "note.deleted", self._v1_note(project, task, note))
        del task.notes[note.id]
        task.note_changes += 1
        return self._done("Note deleted successfully.")

    def _shown_note(self, project: Project, task: Record, note: Note) -> dict[str, Any]:
        return {**self._v1_note(project, task, note), **self._where(project)} if self.v1 else self._note(task, note)


OPERATIONS: dict[str, Callable[[Notes], Expected]] = {
    "ListTaskNotes": Notes.list_notes,
    "V1ListTaskNotes": Notes.list_notes,
    "AddTaskNote": Notes.add_note,
    "V1AddTaskNote": Notes.add_note,
    "DeleteTaskNote": Notes.delete_note,
    "V1DeleteTaskNote": Notes.delete_note,
}
