"""Add a note to a task."""

from atrium.api.flat_records import Id, NewNote, NoteView, Tasks, flat_api, lambda_handler

api = flat_api(permission="record:write", access="Write")


@api.post("/projects/<id>/tasks/<task_id>/notes", status_code=201)
def add_task_note(id: Id, task_id: Id, new: NewNote, tasks: Tasks) -> NoteView:
    return NoteView.of(tasks.add_note(id, task_id, new.content))


handler = lambda_handler(api)
