"""List a task's notes.

By age, the oldest first.
"""

from atrium.api.v1_records import Cursor, Id, Limit, NoteView, Page, Tasks, lambda_handler, page_of, v1_api

api = v1_api(permission="project:read", access="List")


@api.get("/v1/spaces/<space_id>/projects/<project_id>/tasks/<task_id>/notes")
def list_task_notes(
    space_id: Id, project_id: Id, task_id: Id, tasks: Tasks, limit: Limit = 20, cursor: Cursor | None = None
) -> Page[NoteView]:
    return page_of(NoteView, tasks.in_space(space_id).list_notes(project_id, task_id, limit=limit, after=cursor))


handler = lambda_handler(api)
