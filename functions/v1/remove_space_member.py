"""Remove a member from a space.

Each member may leave. The last owner cannot, and cannot be removed (409), except by an admin of the tenant. Roles in
projects of the space stay.
"""

from atrium.api.v1_spaces import Id, SpaceMembers, lambda_handler, v1_api

api = v1_api(permission="space:manage", who="owner; everybody to leave", access="Delete", refusals=(409,))


@api.delete("/v1/spaces/<space_id>/members/<member_id>", status_code=204)
def remove_space_member(space_id: Id, member_id: Id, members: SpaceMembers) -> None:
    members.remove(space_id, member_id)


handler = lambda_handler(api)
