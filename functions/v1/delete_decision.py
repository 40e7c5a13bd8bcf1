"""Delete a decision."""

from atrium.api.v1_records import Decisions, Id, lambda_handler, v1_api

api = v1_api(permission="record:write", access="Delete")


@api.delete("/v1/spaces/<space_id>/projects/<project_id>/decisions/<decision_id>", status_code=204)
def delete_decision(space_id: Id, project_id: Id, decision_id: Id, decisions: Decisions) -> None:
    decisions.in_space(space_id).delete(project_id, decision_id)


handler = lambda_handler(api)
