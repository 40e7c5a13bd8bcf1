"""Delete a task.

With its notes.
"""

from atrium.api.flat_records import Confirmation, Id, Tasks, flat_api, lambda_handler

api = flat_api(permission="record:write", access="DeleteAndPurge")


@api.delete("/projects/<id>/tasks/<task_id>")
def delete_task(id: Id, task_id: Id, tasks: Tasks) -> Confirmation:
    tasks.delete(id, task_id)
    return Confirmation(message="Task deleted successfully.")


handler = lambda_handler(api)
