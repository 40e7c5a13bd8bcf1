"""Delete an experiment."""

from atrium.api.flat_records import Confirmation, Experiments, Id, flat_api, lambda_handler

api = flat_api(permission="record:write", access="Delete")


@api.delete("/projects/<id>/experiments/<experiment_id>")
def delete_experiment(id: Id, experiment_id: Id, experiments: Experiments) -> Confirmation:
    experiments.delete(id, experiment_id)
    return Confirmation(message="Experiment deleted successfully.")


handler = lambda_handler(api)
