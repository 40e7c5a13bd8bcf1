"""DELETE /projects/{id}"""

from atrium.api.flat import Confirmation, Id, Projects, flat_api, lambda_handler

api = flat_api()


@api.delete("/projects/<id>")
def delete_project(id: Id, projects: Projects) -> Confirmation:
    projects.delete(id)
    return Confirmation(message="Project deleted successfully.")


handler = lambda_handler(api)
