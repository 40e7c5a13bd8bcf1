"""Get a project.

With its team and its first tasks; the rest is behind `Link`. Shown are at most a thousand tasks, 200 KB of them, and
those in the first 4 MB of the project, where their descriptions count.
"""

from atrium.api.flat import Id, Projects, ProjectView, flat_api, lambda_handler

api = flat_api(permission="project:read", access="List")


@api.get("/projects/<id>")
def get_project(id: Id, projects: Projects) -> ProjectView:
    return ProjectView.of(projects.get(id))


handler = lambda_handler(api)
