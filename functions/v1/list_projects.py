"""GET /v1/spaces/{space_id}/projects"""

from atrium.api.v1 import Cursor, Id, Limit, ProjectPage, Projects, Status, lambda_handler, v1_api

api = v1_api()


@api.get("/v1/spaces/<space_id>/projects")
def list_projects(
    space_id: Id, projects: Projects, status: Status | None = None, limit: Limit = 20, cursor: Cursor | None = None
) -> ProjectPage:
    return ProjectPage.of(projects.list_space(space_id, status=status, limit=limit, after=cursor))


handler = lambda_handler(api)
