"""List datasets.

By age, the oldest first.
"""

from atrium.api.v1_records import Cursor, Datasets, DatasetView, Id, Limit, Page, Phase, lambda_handler, page_of, v1_api

api = v1_api(permission="project:read", access="List")


@api.get("/v1/spaces/<space_id>/projects/<project_id>/datasets")
def list_datasets(
    space_id: Id,
    project_id: Id,
    datasets: Datasets,
    phase: Phase | None = None,
    limit: Limit = 20,
    cursor: Cursor | None = None,
) -> Page[DatasetView]:
    return page_of(DatasetView, datasets.in_space(space_id).list(project_id, phase=phase, limit=limit, after=cursor))


handler = lambda_handler(api)
