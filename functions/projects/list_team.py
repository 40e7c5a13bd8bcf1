"""List a project's team.

The members other than the manager.
"""

from atrium.api.flat_records import Id, PersonView, Team, flat_api, lambda_handler, people

api = flat_api(permission="project:read", access="List")


@api.get("/projects/<id>/team")
def list_team(id: Id, team: Team) -> list[PersonView]:
    return people(team.of(id))


handler = lambda_handler(api)
