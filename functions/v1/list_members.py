"""GET /v1/spaces/{space_id}/projects/{project_id}/members"""

from atrium.api.v1 import Cursor, Id, Limit, MemberPage, Members, lambda_handler, v1_api

api = v1_api()


@api.get("/v1/spaces/<space_id>/projects/<project_id>/members")
def list_members(
    space_id: Id, project_id: Id, members: Members, limit: Limit = 20, cursor: Cursor | None = None
) -> MemberPage:
    return MemberPage.of(members.list(space_id, project_id, limit=limit, after=cursor))


handler = lambda_handler(api)
