"""Add a user to the team.

As a contributor. Find users by e-mail or by name first.
"""

from atrium.api.flat_records import Id, NewTeamMember, PersonView, Team, flat_api, lambda_handler

api = flat_api(permission="member:manage", access="Write")


@api.post("/projects/<id>/team", status_code=201)
def add_team_member(id: Id, new: NewTeamMember, team: Team) -> PersonView:
    return PersonView.of(team.add(id, new.id))


handler = lambda_handler(api)
