"""List roles.

Roles are ordered: viewer, contributor, manager, owner. Their ids are the same in every tenant. A space role holds for
every project of the space, a project role for its project, and the stronger one counts.
"""

from atrium.api.v1 import Principals, RolePage, lambda_handler, v1_api

api = v1_api(permission=None, access="Get")


@api.get("/v1/roles")
def list_roles(principals: Principals) -> RolePage:
    principals.require_active()
    return RolePage.catalogue()


handler = lambda_handler(api)
