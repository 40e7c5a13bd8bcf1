"""Delete a dataset."""

from atrium.api.flat_records import Confirmation, Datasets, Id, flat_api, lambda_handler

api = flat_api(permission="record:write", access="Delete")


@api.delete("/projects/<id>/datasets/<dataset_id>")
def delete_dataset(id: Id, dataset_id: Id, datasets: Datasets) -> Confirmation:
    datasets.delete(id, dataset_id)
    return Confirmation(message="Dataset deleted successfully.")


handler = lambda_handler(api)
