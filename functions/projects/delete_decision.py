"""Delete a decision."""

from atrium.api.flat_records import Confirmation, Decisions, Id, flat_api, lambda_handler

api = flat_api(permission="record:write", access="Delete")


@api.delete("/projects/<id>/decisions/<decision_id>")
def delete_decision(id: Id, decision_id: Id, decisions: Decisions) -> Confirmation:
    decisions.delete(id, decision_id)
    return Confirmation(message="Decision deleted successfully.")


handler = lambda_handler(api)
