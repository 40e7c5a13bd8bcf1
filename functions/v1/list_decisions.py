"""List decisions.

By age, the oldest first.
"""

from atrium.api.v1_records import (
    Cursor,
    Decisions,
    DecisionView,
    Id,
    Limit,
    Page,
    Phase,
    lambda_handler,
    page_of,
    v1_api,
)

api = v1_api(permission="project:read", access="List")


@api.get("/v1/spaces/<space_id>/projects/<project_id>/decisions")
def list_decisions(
    space_id: Id,
    project_id: Id,
    decisions: Decisions,
    phase: Phase | None = None,
    limit: Limit = 20,
    cursor: Cursor | None = None,
) -> Page[DecisionView]:
    return page_of(DecisionView, decisions.in_space(space_id).list(project_id, phase=phase, limit=limit, after=cursor))


handler = lambda_handler(api)
