"""Get a task."""

from atrium.api.v1_records import Id, Tasks, TaskView, lambda_handler, v1_api

api = v1_api(permission="project:read", access="Get")


@api.get("/v1/spaces/<space_id>/projects/<project_id>/tasks/<task_id>")
def get_task(space_id: Id, project_id: Id, task_id: Id, tasks: Tasks) -> TaskView:
    return TaskView.of(tasks.in_space(space_id).get(project_id, task_id))


handler = lambda_handler(api)
