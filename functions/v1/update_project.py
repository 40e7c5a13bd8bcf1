"""Update a project.

Give at least one field; what is left out stays as it is. `status` archives a project and brings it back; `manager_id`
hands it over to another member. While it is archived everything is refused with 409 but that, and deleting it.
"""

from atrium.api.v1 import Id, ProjectChange, Projects, ProjectView, lambda_handler, v1_api

api = v1_api(permission="project:update", who="contributor; manager to hand over", access="Write")


@api.patch("/v1/spaces/<space_id>/projects/<project_id>")
def update_project(space_id: Id, project_id: Id, change: ProjectChange, projects: Projects) -> ProjectView:
    return ProjectView.of(projects.in_space(space_id).update(project_id, change.given()))


handler = lambda_handler(api)
