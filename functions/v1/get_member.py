"""Get a member.

`member_id` is the member's `principal_id`.
"""

from atrium.api.v1 import Id, Members, MemberView, lambda_handler, v1_api

api = v1_api(permission="project:read", access="Get")


@api.get("/v1/spaces/<space_id>/projects/<project_id>/members/<member_id>")
def get_member(space_id: Id, project_id: Id, member_id: Id, members: Members) -> MemberView:
    return MemberView.of(members.in_space(space_id).get(project_id, member_id))


handler = lambda_handler(api)
