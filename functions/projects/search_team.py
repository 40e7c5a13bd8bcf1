"""GET /projects/{id}/team/search"""

from atrium.api.flat_records import Id, PersonView, SearchText, Team, flat_api, lambda_handler, people

api = flat_api()


@api.get("/projects/<id>/team/search")
def search_team(id: Id, q: SearchText, team: Team) -> list[PersonView]:
    return people(team.search(id, q))


handler = lambda_handler(api)
