"""List a task's notes.

By age, the oldest first.
"""

from atrium.api.flat_records import MAX_PAGE, Cursor, Id, Limit, NoteView, Tasks, flat_api, lambda_handler, listing

api = flat_api(permission="project:read", access="List")


@api.get("/projects/<id>/tasks/<task_id>/notes")
def list_task_notes(
    id: Id, task_id: Id, tasks: Tasks, limit: Limit = MAX_PAGE, cursor: Cursor | None = None
) -> list[NoteView]:
    return listing(NoteView, tasks.list_notes(id, task_id, limit=limit, after=cursor))


handler = lambda_handler(api)
