"""Delete a dataset."""

from atrium.api.v1_records import Datasets, Id, lambda_handler, v1_api

api = v1_api(permission="record:write", access="Delete")


@api.delete("/v1/spaces/<space_id>/projects/<project_id>/datasets/<dataset_id>", status_code=204)
def delete_dataset(space_id: Id, project_id: Id, dataset_id: Id, datasets: Datasets) -> None:
    datasets.in_space(space_id).delete(project_id, dataset_id)


handler = lambda_handler(api)
