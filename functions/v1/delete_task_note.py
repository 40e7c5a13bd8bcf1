"""Delete a note."""

from atrium.api.v1_records import Id, Tasks, lambda_handler, v1_api

api = v1_api(permission="record:write", who="its author", access="Delete")


@api.delete("/v1/spaces/<space_id>/projects/<project_id>/tasks/<task_id>/notes/<note_id>", status_code=204)
def delete_task_note(space_id: Id, project_id: Id, task_id: Id, note_id: Id, tasks: Tasks) -> None:
    tasks.in_space(space_id).delete_note(project_id, task_id, note_id)


handler = lambda_handler(api)
