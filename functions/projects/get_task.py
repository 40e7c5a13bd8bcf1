"""Get a task.

With its first thousand notes; the rest is behind `Link`.
"""

from atrium.api.flat_records import Id, Tasks, TaskWithNotes, flat_api, lambda_handler

api = flat_api(permission="project:read", access="List")


@api.get("/projects/<id>/tasks/<task_id>")
def get_task(id: Id, task_id: Id, tasks: Tasks) -> TaskWithNotes:
    return TaskWithNotes.of_both(*tasks.get_with_notes(id, task_id))


handler = lambda_handler(api)
