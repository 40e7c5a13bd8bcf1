"""List experiments.

By age, the oldest first.
"""

from atrium.api.v1_records import (
    Cursor,
    Experiments,
    ExperimentView,
    Id,
    Limit,
    Page,
    Phase,
    lambda_handler,
    page_of,
    v1_api,
)

api = v1_api(permission="project:read", access="List")


@api.get("/v1/spaces/<space_id>/projects/<project_id>/experiments")
def list_experiments(
    space_id: Id,
    project_id: Id,
    experiments: Experiments,
    phase: Phase | None = None,
    limit: Limit = 20,
    cursor: Cursor | None = None,
) -> Page[ExperimentView]:
    return page_of(
        ExperimentView, experiments.in_space(space_id).list(project_id, phase=phase, limit=limit, after=cursor)
    )


handler = lambda_handler(api)
