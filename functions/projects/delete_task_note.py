"""Delete a note."""

from atrium.api.flat_records import Confirmation, Id, Tasks, flat_api, lambda_handler

api = flat_api(permission="record:write", who="its author", access="Delete")


@api.delete("/projects/<id>/tasks/<task_id>/notes/<note_id>")
def delete_task_note(id: Id, task_id: Id, note_id: Id, tasks: Tasks) -> Confirmation:
    tasks.delete_note(id, task_id, note_id)
    return Confirmation(message="Note deleted successfully.")


handler = lambda_handler(api)
