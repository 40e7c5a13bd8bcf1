"""GET /projects"""

from atrium.api.flat import MAX_PAGE, Cursor, Limit, Projects, ProjectView, flat_api, lambda_handler, listing

api = flat_api()


@api.get("/projects")
def list_projects(projects: Projects, limit: Limit = MAX_PAGE, cursor: Cursor | None = None) -> list[ProjectView]:
    return listing(projects.list_all(limit=limit, after=cursor))


handler = lambda_handler(api)
