"""Add a member to a space.

Name the principal by `principal_id` or by `email`. A space role holds for every project of the space. 409 if the
principal is a member already, is suspended, or has a role in 100 spaces.
"""

from atrium.api.v1_spaces import Id, NewMember, SpaceMembers, SpaceMemberView, lambda_handler, v1_api

api = v1_api(permission="space:manage", access="Write", refusals=(409,))


@api.post("/v1/spaces/<space_id>/members", status_code=201)
def add_space_member(space_id: Id, new: NewMember, members: SpaceMembers) -> SpaceMemberView:
    return SpaceMemberView.of(members.add(space_id, new.who(), new.role()))


handler = lambda_handler(api)
