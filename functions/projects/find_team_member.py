"""POST /projects/{id}/team/find"""

from atrium.api.flat_records import EmailQuery, Id, PersonView, Team, flat_api, lambda_handler

api = flat_api()


@api.post("/projects/<id>/team/find")
def find_team_member(id: Id, query: EmailQuery, team: Team) -> PersonView:
    return PersonView.of(team.find(id, query.email))


handler = lambda_handler(api)
