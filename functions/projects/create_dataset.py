"""Create a dataset."""

from atrium.api.flat_records import Datasets, DatasetView, Id, NewDataset, flat_api, lambda_handler

api = flat_api(permission="record:write", access="Write")


@api.post("/projects/<id>/datasets", status_code=201)
def create_dataset(id: Id, new: NewDataset, datasets: Datasets) -> DatasetView:
    return DatasetView.of(datasets.create(id, new.with_defaults()))


handler = lambda_handler(api)
