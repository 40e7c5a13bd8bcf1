"""List datasets.

By age, the oldest first.
"""

from atrium.api.flat_records import (
    MAX_PAGE,
    Cursor,
    Datasets,
    DatasetView,
    Id,
    Limit,
    Phase,
    flat_api,
    lambda_handler,
    listing,
)

api = flat_api(permission="project:read", access="List")


@api.get("/projects/<id>/datasets")
def list_datasets(
    id: Id, datasets: Datasets, phase: Phase | None = None, limit: Limit = MAX_PAGE, cursor: Cursor | None = None
) -> list[DatasetView]:
    return listing(DatasetView, datasets.list(id, phase=phase, limit=limit, after=cursor))


handler = lambda_handler(api)
