"""Create a decision."""

from atrium.api.flat_records import Decisions, DecisionView, Id, NewDecision, flat_api, lambda_handler

api = flat_api(permission="record:write", access="Write")


@api.post("/projects/<id>/decisions", status_code=201)
def create_decision(id: Id, new: NewDecision, decisions: Decisions) -> DecisionView:
    return DecisionView.of(decisions.create(id, new.with_defaults()))


handler = lambda_handler(api)
