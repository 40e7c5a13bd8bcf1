"""Create a project.

In the tenant's default space. You become its manager.
"""

from atrium.api.flat import NewProject, Projects, ProjectView, flat_api, lambda_handler

api = flat_api(permission="project:create", access="Write")


@api.post("/projects", status_code=201)
def create_project(new: NewProject, projects: Projects) -> ProjectView:
    return ProjectView.of_new(
        projects.create(
            name=new.projectName,
            client=new.clientName,
            description=new.stored_description(),
        )
    )


handler = lambda_handler(api)
