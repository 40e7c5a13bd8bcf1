"""Create a task."""

from atrium.api.flat_records import Id, NewTask, Tasks, TaskView, flat_api, lambda_handler

api = flat_api(permission="record:write", access="Write")


@api.post("/projects/<id>/tasks", status_code=201)
def create_task(id: Id, new: NewTask, tasks: Tasks) -> TaskView:
    return TaskView.of(tasks.create(id, new.with_defaults()))


handler = lambda_handler(api)
