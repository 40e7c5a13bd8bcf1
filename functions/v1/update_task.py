"""Update a task.

Give at least one field; what is left out stays as it is. Any status may follow any other; each change is added to
`completed_by`.
"""

from atrium.api.v1_records import Id, TaskChange, Tasks, TaskView, lambda_handler, v1_api

api = v1_api(permission="record:write", access="Write")


@api.patch("/v1/spaces/<space_id>/projects/<project_id>/tasks/<task_id>")
def update_task(space_id: Id, project_id: Id, task_id: Id, change: TaskChange, tasks: Tasks) -> TaskView:
    return TaskView.of(tasks.in_space(space_id).update(project_id, task_id, change.given()))


handler = lambda_handler(api)
