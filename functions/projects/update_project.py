"""Update a project.

All three fields are required. What you got from `GET` may be sent back as it is: other fields are ignored. A
description that was an object in v1 keeps its other members; only its `summary` changes. With an `Idempotency-Key` the
answer is kept, and shows as many tasks as make 20 KB; its `Link` header leads to the others.
"""

from atrium.api.flat import Id, ProjectRevision, Projects, ProjectView, flat_api, lambda_handler

api = flat_api(permission="project:update", who="manager", access="UpdateProject")


@api.put("/projects/<id>")
def update_project(id: Id, revision: ProjectRevision, projects: Projects) -> ProjectView:
    return ProjectView.of(
        projects.revise(id, name=revision.projectName, client=revision.clientName, description=revision.description)
    )


handler = lambda_handler(api)
