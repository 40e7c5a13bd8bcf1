"""List spaces.

Those in which the caller has a role, in the order of their ids.
"""

from atrium.api.v1 import Cursor, Limit, Page, Principals, SpaceView, lambda_handler, page_of, v1_api

api = v1_api(permission=None, access="Get", refusals=(404,))


@api.get("/v1/spaces")
def list_spaces(principals: Principals, limit: Limit = 20, cursor: Cursor | None = None) -> Page[SpaceView]:
    return page_of(SpaceView, principals.spaces(limit=limit, after=cursor))


handler = lambda_handler(api)
