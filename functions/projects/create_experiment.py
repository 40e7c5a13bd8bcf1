"""Create an experiment."""

from atrium.api.flat_records import Experiments, ExperimentView, Id, NewExperiment, flat_api, lambda_handler

api = flat_api(permission="record:write", access="Write")


@api.post("/projects/<id>/experiments", status_code=201)
def create_experiment(id: Id, new: NewExperiment, experiments: Experiments) -> ExperimentView:
    return ExperimentView.of(experiments.create(id, new.with_defaults()))


handler = lambda_handler(api)
