"""GET /projects/{id}"""

from atrium.api.flat import Id, Projects, ProjectView, flat_api, lambda_handler

api = flat_api()


@api.get("/projects/<id>")
def get_project(id: Id, projects: Projects) -> ProjectView:
    return ProjectView.of(projects.get_whole(id))


handler = lambda_handler(api)
