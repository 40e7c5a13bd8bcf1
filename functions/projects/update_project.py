"""PUT /projects/{id}"""

from atrium.api.flat import Id, ProjectRevision, Projects, ProjectView, flat_api, lambda_handler

api = flat_api()


@api.put("/projects/<id>")
def update_project(id: Id, revision: ProjectRevision, projects: Projects) -> ProjectView:
    return ProjectView.of(
        projects.revise(id, name=revision.projectName, client=revision.clientName, description=revision.description)
    )


handler = lambda_handler(api)
