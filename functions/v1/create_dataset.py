"""Create a dataset."""

from atrium.api.v1_records import Datasets, DatasetView, Id, NewDataset, lambda_handler, v1_api

api = v1_api(permission="record:write", access="Write")


@api.post("/v1/spaces/<space_id>/projects/<project_id>/datasets", status_code=201)
def create_dataset(space_id: Id, project_id: Id, new: NewDataset, datasets: Datasets) -> DatasetView:
    return DatasetView.of(datasets.in_space(space_id).create(project_id, new.with_defaults()))


handler = lambda_handler(api)
