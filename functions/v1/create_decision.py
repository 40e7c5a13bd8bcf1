"""Create a decision."""

from atrium.api.v1_records import Decisions, DecisionView, Id, NewDecision, lambda_handler, v1_api

api = v1_api(permission="record:write", access="Write")


@api.post("/v1/spaces/<space_id>/projects/<project_id>/decisions", status_code=201)
def create_decision(space_id: Id, project_id: Id, new: NewDecision, decisions: Decisions) -> DecisionView:
    return DecisionView.of(decisions.in_space(space_id).create(project_id, new.with_defaults()))


handler = lambda_handler(api)
