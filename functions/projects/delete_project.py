"""Delete a project.

With all tasks, datasets, experiments and decisions. It is final, and as quick for ten thousand records as for none:
from the next request on, all of it is gone.
"""

from atrium.api.flat import Confirmation, Id, Projects, flat_api, lambda_handler

api = flat_api(permission="project:delete", access="DeleteAndPurge")


@api.delete("/projects/<id>")
def delete_project(id: Id, projects: Projects) -> Confirmation:
    projects.delete(id)
    return Confirmation(message="Project deleted successfully.")


handler = lambda_handler(api)
