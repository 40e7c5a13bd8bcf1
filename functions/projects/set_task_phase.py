"""Set a task's phase."""

from atrium.api.flat_records import Id, TaskPhaseChange, Tasks, TaskView, flat_api, lambda_handler

api = flat_api(permission="record:write", access="Write")


@api.patch("/projects/<id>/tasks/<task_id>/phase")
def set_task_phase(id: Id, task_id: Id, change: TaskPhaseChange, tasks: Tasks) -> TaskView:
    return TaskView.of(tasks.update(id, task_id, change.given()))


handler = lambda_handler(api)
