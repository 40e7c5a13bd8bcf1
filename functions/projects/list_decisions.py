"""List decisions.

By age, the oldest first.
"""

from atrium.api.flat_records import (
    MAX_PAGE,
    Cursor,
    Decisions,
    DecisionView,
    Id,
    Limit,
    Phase,
    flat_api,
    lambda_handler,
    listing,
)

api = flat_api(permission="project:read", access="List")


@api.get("/projects/<id>/decisions")
def list_decisions(
    id: Id, decisions: Decisions, phase: Phase | None = None, limit: Limit = MAX_PAGE, cursor: Cursor | None = None
) -> list[DecisionView]:
    return listing(DecisionView, decisions.list(id, phase=phase, limit=limit, after=cursor))


handler = lambda_handler(api)
