"""Create a project.

You become its manager. The description is kept exactly as it was sent, numbers and order of keys included.
"""

from atrium.api.v1 import Id, NewProject, Projects, ProjectView, lambda_handler, v1_api

api = v1_api(permission="project:create", access="Write")


@api.post("/v1/spaces/<space_id>/projects", status_code=201)
def create_project(space_id: Id, new: NewProject, projects: Projects) -> ProjectView:
    return ProjectView.of(projects.in_space(space_id).create(name=new.name, client="", description=new.description))


handler = lambda_handler(api)
