"""List projects.

Without their descriptions. With a role in the space you see all of them, without one those you are a member of. By age,
the oldest first.
"""

from atrium.api.v1 import Cursor, Id, Limit, ProjectPage, Projects, Status, lambda_handler, v1_api

api = v1_api(permission="project:read", who="viewer, or member of a project there", access="List")


@api.get("/v1/spaces/<space_id>/projects")
def list_projects(
    space_id: Id, projects: Projects, status: Status | None = None, limit: Limit = 20, cursor: Cursor | None = None
) -> ProjectPage:
    return ProjectPage.of(projects.in_space(space_id).list(status=status, limit=limit, after=cursor))


handler = lambda_handler(api)
