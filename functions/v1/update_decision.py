"""Update a decision.

Give at least one field; what is left out stays as it is.
"""

from atrium.api.v1_records import DecisionChange, Decisions, DecisionView, Id, lambda_handler, v1_api

api = v1_api(permission="record:write", access="Write")


@api.patch("/v1/spaces/<space_id>/projects/<project_id>/decisions/<decision_id>")
def update_decision(
    space_id: Id, project_id: Id, decision_id: Id, change: DecisionChange, decisions: Decisions
) -> DecisionView:
    return DecisionView.of(decisions.in_space(space_id).update(project_id, decision_id, change.given()))


handler = lambda_handler(api)
