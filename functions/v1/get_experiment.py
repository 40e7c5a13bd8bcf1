"""Get an experiment."""

from atrium.api.v1_records import Experiments, ExperimentView, Id, lambda_handler, v1_api

api = v1_api(permission="project:read", access="Get")


@api.get("/v1/spaces/<space_id>/projects/<project_id>/experiments/<experiment_id>")
def get_experiment(space_id: Id, project_id: Id, experiment_id: Id, experiments: Experiments) -> ExperimentView:
    return ExperimentView.of(experiments.in_space(space_id).get(project_id, experiment_id))


handler = lambda_handler(api)
