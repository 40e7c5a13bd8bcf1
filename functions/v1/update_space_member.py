"""Change the role of a member of a space.

The last owner cannot be demoted (409), except by an admin of the tenant.
"""

from atrium.api.v1_spaces import Id, MemberChange, SpaceMembers, SpaceMemberView, lambda_handler, v1_api

api = v1_api(permission="space:manage", access="Write", refusals=(409,))


@api.patch("/v1/spaces/<space_id>/members/<member_id>")
def update_space_member(space_id: Id, member_id: Id, change: MemberChange, members: SpaceMembers) -> SpaceMemberView:
    return SpaceMemberView.of(members.set_role(space_id, member_id, change.role()))


handler = lambda_handler(api)
