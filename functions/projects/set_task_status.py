"""Set a task's status.

Any status may follow any other. The change is added to `completedBy`.
"""

from atrium.api.flat_records import Id, Tasks, TaskStatusChange, TaskView, flat_api, lambda_handler

api = flat_api(permission="record:write", access="Write")


@api.post("/projects/<id>/tasks/<task_id>/status")
def set_task_status(id: Id, task_id: Id, change: TaskStatusChange, tasks: Tasks) -> TaskView:
    return TaskView.of(tasks.update(id, task_id, change.given()))


handler = lambda_handler(api)
