"""Delete a project.

With all that hangs below it. It is final, and as quick for ten thousand records as for none: from the next request on,
all of it is gone.
"""

from atrium.api.v1 import Id, Projects, lambda_handler, v1_api

api = v1_api(permission="project:delete", access="DeleteAndPurge")


@api.delete("/v1/spaces/<space_id>/projects/<project_id>", status_code=204)
def delete_project(space_id: Id, project_id: Id, projects: Projects) -> None:
    projects.in_space(space_id).delete(project_id)


handler = lambda_handler(api)
