"""Create a principal.

A person or a program of the tenant, without a role in any space. It needs a credential to ask for anything. 409 if
another principal has the e-mail address or the external id. An admin is made only with a credential that is not
narrowed.
"""

from atrium.api.v1_principals import Directory, NewPrincipal, PrincipalView, lambda_handler, v1_api

api = v1_api(permission="principal:manage", access="Write", refusals=(409,))


@api.post("/v1/principals", status_code=201)
def create_principal(new: NewPrincipal, directory: Directory) -> PrincipalView:
    return PrincipalView.of(directory.create(**new.with_defaults()))


handler = lambda_handler(api)
