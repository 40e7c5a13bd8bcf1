"""List a space's members.

In the order of their principals. The caller needs a role in the space.
"""

from atrium.api.v1_spaces import (
    Cursor,
    Id,
    Limit,
    Page,
    SpaceMembers,
    SpaceMemberView,
    lambda_handler,
    page_of,
    v1_api,
)

api = v1_api(permission="project:read", who="viewer of the space", access="List")


@api.get("/v1/spaces/<space_id>/members")
def list_space_members(
    space_id: Id, members: SpaceMembers, limit: Limit = 20, cursor: Cursor | None = None
) -> Page[SpaceMemberView]:
    return page_of(SpaceMemberView, members.list(space_id, limit=limit, after=cursor))


handler = lambda_handler(api)
