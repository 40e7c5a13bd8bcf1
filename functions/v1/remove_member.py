"""Remove a member.

The named manager cannot be removed before the project is handed over (409).
"""

from atrium.api.v1 import Id, Members, lambda_handler, v1_api

api = v1_api(permission="member:manage", who="manager; everybody to leave", access="Delete")


@api.delete("/v1/spaces/<space_id>/projects/<project_id>/members/<member_id>", status_code=204)
def remove_member(space_id: Id, project_id: Id, member_id: Id, members: Members) -> None:
    members.in_space(space_id).remove(project_id, member_id)


handler = lambda_handler(api)
