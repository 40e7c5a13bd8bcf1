"""Create an experiment."""

from atrium.api.v1_records import Experiments, ExperimentView, Id, NewExperiment, lambda_handler, v1_api

api = v1_api(permission="record:write", access="Write")


@api.post("/v1/spaces/<space_id>/projects/<project_id>/experiments", status_code=201)
def create_experiment(space_id: Id, project_id: Id, new: NewExperiment, experiments: Experiments) -> ExperimentView:
    return ExperimentView.of(experiments.in_space(space_id).create(project_id, new.with_defaults()))


handler = lambda_handler(api)
