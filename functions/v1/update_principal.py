"""Update a principal.

Give at least one field; what is left out stays as it is. Each principal changes its own name; all else is for admins,
and `tenant_role`, and an admin's other fields, for their credentials that are not narrowed. A `status` of `suspended`
refuses the principal from its next request on, and keeps its roles; `active` brings it back. 409 if another principal
has the e-mail address or the external id, and for the last active admin, who stays one.
"""

from atrium.api.v1_principals import Directory, Id, PrincipalChange, PrincipalView, lambda_handler, v1_api

api = v1_api(
    permission="principal:manage", who="admin; the principal itself for its name", access="Delete", refusals=(409,)
)


@api.patch("/v1/principals/<principal_id>")
def update_principal(principal_id: Id, change: PrincipalChange, directory: Directory) -> PrincipalView:
    return PrincipalView.of(directory.update(principal_id, change.given()))


handler = lambda_handler(api)
