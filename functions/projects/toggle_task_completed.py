"""Toggle a task's checkbox.

`completed` becomes what it was not. Send an `Idempotency-Key`: a retry without one toggles it back. No body is needed.
"""

from atrium.api.flat_records import Id, Tasks, TaskView, flat_api, lambda_handler

api = flat_api(permission="record:write", access="Write")


@api.patch("/projects/<id>/tasks/<task_id>/completed")
def toggle_task_completed(id: Id, task_id: Id, tasks: Tasks) -> TaskView:
    return TaskView.of(tasks.toggle_completed(id, task_id))


handler = lambda_handler(api)
