"""Delete an experiment."""

from atrium.api.v1_records import Experiments, Id, lambda_handler, v1_api

api = v1_api(permission="record:write", access="Delete")


@api.delete("/v1/spaces/<space_id>/projects/<project_id>/experiments/<experiment_id>", status_code=204)
def delete_experiment(space_id: Id, project_id: Id, experiment_id: Id, experiments: Experiments) -> None:
    experiments.in_space(space_id).delete(project_id, experiment_id)


handler = lambda_handler(api)
