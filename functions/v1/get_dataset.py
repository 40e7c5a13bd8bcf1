"""Get a dataset."""

from atrium.api.v1_records import Datasets, DatasetView, Id, lambda_handler, v1_api

api = v1_api(permission="project:read", access="Get")


@api.get("/v1/spaces/<space_id>/projects/<project_id>/datasets/<dataset_id>")
def get_dataset(space_id: Id, project_id: Id, dataset_id: Id, datasets: Datasets) -> DatasetView:
    return DatasetView.of(datasets.in_space(space_id).get(project_id, dataset_id))


handler = lambda_handler(api)
