"""DELETE /projects/{id}/decisions/{decision_id}"""

from atrium.api.flat_records import Confirmation, Decisions, Id, flat_api, lambda_handler

api = flat_api()


@api.delete("/projects/<id>/decisions/<decision_id>")
def delete_decision(id: Id, decision_id: Id, decisions: Decisions) -> Confirmation:
    decisions.delete(id, decision_id)
    return Confirmation(message="Decision deleted successfully.")


handler = lambda_handler(api)
