"""Remove a user from the team.

The named manager cannot be removed (409). Tasks stay assigned to whom they were.
"""

from atrium.api.flat_records import Confirmation, Id, Team, flat_api, lambda_handler

api = flat_api(permission="member:manage", who="manager; everybody to leave", access="Delete", versioned=False)


@api.delete("/projects/<id>/team/<user_id>")
def remove_team_member(id: Id, user_id: Id, team: Team) -> Confirmation:
    team.remove(id, user_id)
    return Confirmation(message="Team member removed successfully.")


handler = lambda_handler(api)
