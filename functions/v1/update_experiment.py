"""Update an experiment.

Give at least one field; what is left out stays as it is.
"""

from atrium.api.v1_records import ExperimentChange, Experiments, ExperimentView, Id, lambda_handler, v1_api

api = v1_api(permission="record:write", access="Write")


@api.patch("/v1/spaces/<space_id>/projects/<project_id>/experiments/<experiment_id>")
def update_experiment(
    space_id: Id, project_id: Id, experiment_id: Id, change: ExperimentChange, experiments: Experiments
) -> ExperimentView:
    return ExperimentView.of(experiments.in_space(space_id).update(project_id, experiment_id, change.given()))


handler = lambda_handler(api)
