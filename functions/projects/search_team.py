"""Search users by name or e-mail.

Those whose e-mail address, or a word of whose name, begins with `q`, whatever its case and accents; at most ten. A
manager of the project's space finds everybody; others find those who have a role in a space in which they have one too,
among the first hundred by name and by address: search for more of the name, or find by the whole address.
"""

from atrium.api.flat_records import Id, PersonView, SearchText, Team, flat_api, lambda_handler, people

api = flat_api(permission="member:manage", access="List")


@api.get("/projects/<id>/team/search")
def search_team(id: Id, q: SearchText, team: Team) -> list[PersonView]:
    return people(team.search(id, q))


handler = lambda_handler(api)
