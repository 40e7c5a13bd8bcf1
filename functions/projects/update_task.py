"""Update a task.

What is left out stays as it is. Status, phase and checkbox have routes of their own.
"""

from atrium.api.flat_records import Id, TaskRevision, Tasks, TaskView, flat_api, lambda_handler

api = flat_api(permission="record:write", access="Write")


@api.put("/projects/<id>/tasks/<task_id>")
def update_task(id: Id, task_id: Id, revision: TaskRevision, tasks: Tasks) -> TaskView:
    return TaskView.of(tasks.revise(id, task_id, revision.given()))


handler = lambda_handler(api)
