"""DELETE /v1/spaces/{space_id}/projects/{project_id}"""

from atrium.api.v1 import Id, Projects, lambda_handler, v1_api

api = v1_api()


@api.delete("/v1/spaces/<space_id>/projects/<project_id>", status_code=204)
def delete_project(space_id: Id, project_id: Id, projects: Projects) -> None:
    projects.delete(project_id, space=space_id)


handler = lambda_handler(api)
