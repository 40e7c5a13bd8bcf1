"""Find a user by e-mail.

The request changes nothing. The address is in the body so that no log keeps it. 404 if no user has this address.
"""

from atrium.api.flat_records import EmailQuery, Id, PersonView, Team, flat_api, lambda_handler

api = flat_api(permission="member:manage", access="Get")


@api.post("/projects/<id>/team/find")
def find_team_member(id: Id, query: EmailQuery, team: Team) -> PersonView:
    return PersonView.of(team.find(id, query.email))


handler = lambda_handler(api)
