"""Change a member's role.

The named manager cannot be demoted before the project is handed over (409).
"""

from atrium.api.v1 import Id, MemberChange, Members, MemberView, lambda_handler, v1_api

api = v1_api(permission="member:manage", access="Write")


@api.patch("/v1/spaces/<space_id>/projects/<project_id>/members/<member_id>")
def update_member(space_id: Id, project_id: Id, member_id: Id, change: MemberChange, members: Members) -> MemberView:
    return MemberView.of(members.in_space(space_id).set_role(project_id, member_id, change.role()))


handler = lambda_handler(api)
