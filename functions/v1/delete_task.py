"""Delete a task.

With its notes.
"""

from atrium.api.v1_records import Id, Tasks, lambda_handler, v1_api

api = v1_api(permission="record:write", access="DeleteAndPurge")


@api.delete("/v1/spaces/<space_id>/projects/<project_id>/tasks/<task_id>", status_code=204)
def delete_task(space_id: Id, project_id: Id, task_id: Id, tasks: Tasks) -> None:
    tasks.in_space(space_id).delete(project_id, task_id)


handler = lambda_handler(api)
