"""List a principal's projects.

Those that it is a member of, in the order of their ids, with its role in them; not those that it sees by a role in a
space alone. Of its own a principal is shown those that its credential reaches.
"""

from atrium.api.v1 import Cursor
from atrium.api.v1_principals import Directory, Id, Limit, Page, PrincipalProjectView, lambda_handler, page_of, v1_api

api = v1_api(permission="principal:manage", who="admin, or the principal itself", access="List")


@api.get("/v1/principals/<principal_id>/projects")
def list_principal_projects(
    principal_id: Id, directory: Directory, limit: Limit = 20, cursor: Cursor | None = None
) -> Page[PrincipalProjectView]:
    return page_of(PrincipalProjectView, directory.projects(principal_id, limit=limit, after=cursor))


handler = lambda_handler(api)
