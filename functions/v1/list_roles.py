"""GET /v1/roles"""

from atrium.api.v1 import RolePage, lambda_handler, v1_api

api = v1_api()


@api.get("/v1/roles")
def list_roles() -> RolePage:
    return RolePage.catalogue()


handler = lambda_handler(api)
