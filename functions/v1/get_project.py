"""Get a project."""

from atrium.api.v1 import Id, Projects, ProjectView, lambda_handler, v1_api

api = v1_api(permission="project:read", access="Get")


@api.get("/v1/spaces/<space_id>/projects/<project_id>")
def get_project(space_id: Id, project_id: Id, projects: Projects) -> ProjectView:
    return ProjectView.of(projects.in_space(space_id).get(project_id))


handler = lambda_handler(api)
