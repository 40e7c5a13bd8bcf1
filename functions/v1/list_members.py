"""List members.

In the order of their principals.
"""

from atrium.api.v1 import Cursor, Id, Limit, Members, MemberView, Page, lambda_handler, page_of, v1_api

api = v1_api(permission="project:read", access="List")


@api.get("/v1/spaces/<space_id>/projects/<project_id>/members")
def list_members(
    space_id: Id, project_id: Id, members: Members, limit: Limit = 20, cursor: Cursor | None = None
) -> Page[MemberView]:
    return page_of(MemberView, members.in_space(space_id).list(project_id, limit=limit, after=cursor))


handler = lambda_handler(api)
