"""Get a member of a space.

`member_id` is the member's `principal_id`. The caller needs a role in the space.
"""

from atrium.api.v1_spaces import Id, SpaceMembers, SpaceMemberView, lambda_handler, v1_api

api = v1_api(permission="project:read", who="viewer of the space", access="Get")


@api.get("/v1/spaces/<space_id>/members/<member_id>")
def get_space_member(space_id: Id, member_id: Id, members: SpaceMembers) -> SpaceMemberView:
    return SpaceMemberView.of(members.get(space_id, member_id))


handler = lambda_handler(api)
