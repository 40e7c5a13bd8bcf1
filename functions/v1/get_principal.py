"""Get a principal.

Each principal sees itself; others need an admin, and are refused whether there is such a principal or not.
"""

from atrium.api.v1_principals import Directory, Id, PrincipalView, lambda_handler, v1_api

api = v1_api(permission="principal:manage", who="admin, or the principal itself", access="Get")


@api.get("/v1/principals/<principal_id>")
def get_principal(principal_id: Id, directory: Directory) -> PrincipalView:
    return PrincipalView.of(directory.get(principal_id))


handler = lambda_handler(api)
