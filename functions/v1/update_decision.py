"""PATCH /v1/spaces/{space_id}/projects/{project_id}/decisions/{decision_id}"""

from atrium.api.v1_records import DecisionChange, Decisions, DecisionView, Id, given, lambda_handler, v1_api

api = v1_api()


@api.patch("/v1/spaces/<space_id>/projects/<project_id>/decisions/<decision_id>")
def update_decision(
    space_id: Id, project_id: Id, decision_id: Id, change: DecisionChange, decisions: Decisions
) -> DecisionView:
    return DecisionView.of(decisions.update(project_id, decision_id, given(change), space=space_id))


handler = lambda_handler(api)
