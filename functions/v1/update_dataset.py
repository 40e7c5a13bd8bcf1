"""Update a dataset.

Give at least one field; what is left out stays as it is.
"""

from atrium.api.v1_records import DatasetChange, Datasets, DatasetView, Id, lambda_handler, v1_api

api = v1_api(permission="record:write", access="Write")


@api.patch("/v1/spaces/<space_id>/projects/<project_id>/datasets/<dataset_id>")
def update_dataset(
    space_id: Id, project_id: Id, dataset_id: Id, change: DatasetChange, datasets: Datasets
) -> DatasetView:
    return DatasetView.of(datasets.in_space(space_id).update(project_id, dataset_id, change.given()))


handler = lambda_handler(api)
