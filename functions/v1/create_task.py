"""Create a task."""

from atrium.api.v1_records import Id, NewTask, Tasks, TaskView, lambda_handler, v1_api

api = v1_api(permission="record:write", access="Write")


@api.post("/v1/spaces/<space_id>/projects/<project_id>/tasks", status_code=201)
def create_task(space_id: Id, project_id: Id, new: NewTask, tasks: Tasks) -> TaskView:
    return TaskView.of(tasks.in_space(space_id).create(project_id, new.with_defaults()))


handler = lambda_handler(api)
