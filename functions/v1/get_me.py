"""Get the caller.

Who the credential speaks for, its spaces by their names, and its roles in them.
"""

from atrium.api.v1 import Me, Principals, lambda_handler, v1_api

api = v1_api(permission=None, access="Get", refusals=(404,))


@api.get("/v1/me")
def get_me(principals: Principals) -> Me:
    return Me.of(principals.me())


handler = lambda_handler(api)
