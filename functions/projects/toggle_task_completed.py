"""PATCH /projects/{id}/tasks/{task_id}/completed"""

from atrium.api.flat_records import Id, Tasks, TaskView, flat_api, lambda_handler

api = flat_api()


@api.patch("/projects/<id>/tasks/<task_id>/completed")
def toggle_task_completed(id: Id, task_id: Id, tasks: Tasks) -> TaskView:
    return TaskView.of(tasks.toggle_completed(id, task_id))


handler = lambda_handler(api)
