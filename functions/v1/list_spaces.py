"""List spaces.

Those in which the caller has a role, and for an admin all of the tenant, in the order of their ids. With a credential
that is narrowed to some spaces only those; with one that is narrowed to projects none.
"""

from atrium.api.v1_spaces import Cursor, Limit, Page, Spaces, SpaceView, lambda_handler, page_of, v1_api

api = v1_api(permission=None, access="List")


@api.get("/v1/spaces")
def list_spaces(spaces: Spaces, limit: Limit = 20, cursor: Cursor | None = None) -> Page[SpaceView]:
    return page_of(SpaceView, spaces.list(limit=limit, after=cursor))


handler = lambda_handler(api)
