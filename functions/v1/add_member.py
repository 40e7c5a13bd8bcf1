"""Add a member.

Name the principal by `principal_id` or by `email`. A caller grants at most its own role. 409 if the principal is a
member already or suspended, or the project is archived.
"""

from atrium.api.v1 import Id, Members, MemberView, NewMember, lambda_handler, v1_api

api = v1_api(permission="member:manage", access="Write")


@api.post("/v1/spaces/<space_id>/projects/<project_id>/members", status_code=201)
def add_member(space_id: Id, project_id: Id, new: NewMember, members: Members) -> MemberView:
    return MemberView.of(members.in_space(space_id).add(project_id, new.who(), new.role()))


handler = lambda_handler(api)
