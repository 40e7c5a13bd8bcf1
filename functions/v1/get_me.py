"""GET /v1/me"""

from atrium.api.v1 import Me, Principals, lambda_handler, v1_api

api = v1_api()


@api.get("/v1/me")
def get_me(principals: Principals) -> Me:
    return Me.of(principals.me())


handler = lambda_handler(api)
