"""List tasks.

By age, the oldest first.
"""

from atrium.api.flat_records import MAX_PAGE, Cursor, Id, Limit, Tasks, TaskView, flat_api, lambda_handler, listing

api = flat_api(permission="project:read", access="List")


@api.get("/projects/<id>/tasks")
def list_tasks(id: Id, tasks: Tasks, limit: Limit = MAX_PAGE, cursor: Cursor | None = None) -> list[TaskView]:
    return listing(TaskView, tasks.list(id, limit=limit, after=cursor))


handler = lambda_handler(api)
