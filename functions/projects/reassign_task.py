"""Assign a task.

The new assignee is a member of the project. `null` or an empty string leaves the task without an assignee.
"""

from atrium.api.flat_records import Id, Reassignment, TaskAssignment, Tasks, flat_api, lambda_handler

api = flat_api(permission="record:write", access="Write")


@api.patch("/projects/<id>/tasks/<task_id>/reassign")
def reassign_task(id: Id, task_id: Id, assignment: TaskAssignment, tasks: Tasks) -> Reassignment:
    return Reassignment.of(tasks.update(id, task_id, assignment.given()))


handler = lambda_handler(api)
