"""Get a decision."""

from atrium.api.v1_records import Decisions, DecisionView, Id, lambda_handler, v1_api

api = v1_api(permission="project:read", access="Get")


@api.get("/v1/spaces/<space_id>/projects/<project_id>/decisions/<decision_id>")
def get_decision(space_id: Id, project_id: Id, decision_id: Id, decisions: Decisions) -> DecisionView:
    return DecisionView.of(decisions.in_space(space_id).get(project_id, decision_id))


handler = lambda_handler(api)
