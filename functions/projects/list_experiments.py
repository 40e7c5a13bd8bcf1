"""List experiments.

By age, the oldest first.
"""

from atrium.api.flat_records import (
    MAX_PAGE,
    Cursor,
    Experiments,
    ExperimentView,
    Id,
    Limit,
    Phase,
    flat_api,
    lambda_handler,
    listing,
)

api = flat_api(permission="project:read", access="List")


@api.get("/projects/<id>/experiments")
def list_experiments(
    id: Id, experiments: Experiments, phase: Phase | None = None, limit: Limit = MAX_PAGE, cursor: Cursor | None = None
) -> list[ExperimentView]:
    return listing(ExperimentView, experiments.list(id, phase=phase, limit=limit, after=cursor))


handler = lambda_handler(api)
