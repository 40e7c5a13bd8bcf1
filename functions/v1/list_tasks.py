"""List tasks.

By age, the oldest first.
"""

from atrium.api.v1_records import Cursor, Id, Limit, Page, Phase, Tasks, TaskView, lambda_handler, page_of, v1_api

api = v1_api(permission="project:read", access="List")


@api.get("/v1/spaces/<space_id>/projects/<project_id>/tasks")
def list_tasks(
    space_id: Id,
    project_id: Id,
    tasks: Tasks,
    phase: Phase | None = None,
    limit: Limit = 20,
    cursor: Cursor | None = None,
) -> Page[TaskView]:
    return page_of(TaskView, tasks.in_space(space_id).list(project_id, phase=phase, limit=limit, after=cursor))


handler = lambda_handler(api)
