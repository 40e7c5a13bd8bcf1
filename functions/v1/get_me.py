"""Get the caller.

Who the credential speaks for, the spaces that it may read, by their names, with the roles in them, and what the
credential is narrowed to.
"""

from atrium.api.v1 import Me, Principals, lambda_handler, v1_api

api = v1_api(permission=None, access="Get", enrols=True, refusals=(404,))


@api.get("/v1/me")
def get_me(principals: Principals) -> Me:
    return Me.of(principals.me())


handler = lambda_handler(api)
