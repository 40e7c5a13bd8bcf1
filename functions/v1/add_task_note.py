"""Add a note to a task."""

from atrium.api.v1_records import Id, NewNote, NoteView, Tasks, lambda_handler, v1_api

api = v1_api(permission="record:write", access="Write")


@api.post("/v1/spaces/<space_id>/projects/<project_id>/tasks/<task_id>/notes", status_code=201)
def add_task_note(space_id: Id, project_id: Id, task_id: Id, new: NewNote, tasks: Tasks) -> NoteView:
    return NoteView.of(tasks.in_space(space_id).add_note(project_id, task_id, new.content))


handler = lambda_handler(api)
