"""PATCH /v1/spaces/{space_id}/projects/{project_id}"""

from atrium.api.v1 import Id, ProjectChange, Projects, ProjectView, lambda_handler, v1_api

api = v1_api()


@api.patch("/v1/spaces/<space_id>/projects/<project_id>")
def update_project(space_id: Id, project_id: Id, change: ProjectChange, projects: Projects) -> ProjectView:
    return ProjectView.of(projects.update(space_id, project_id, change.fields()))


handler = lambda_handler(api)
