"""Delete a principal.

It must not be the named manager of a project (409 `is_manager`, with the number of those projects), and not the last
active admin (409 `last_admin`). An admin is deleted only with a credential that is not narrowed. It is final: its next
request is refused, and its e-mail address is free. Its memberships and its roles in spaces end within a minute, each
with its event, and its credentials with them; those that it issued for others stay, unless they are revoked before
(`DELETE …/credentials/{credential_id}?issued=true`). A project that it is made the manager of at the same moment goes
to who deleted it. Records keep its id.
"""

from atrium.api.v1_deletions import Deletions, Id, lambda_handler, v1_api

api = v1_api(permission="principal:manage", access="DeleteUnused", refusals=(409,))


@api.delete("/v1/principals/<principal_id>", status_code=204)
def delete_principal(principal_id: Id, deletions: Deletions) -> None:
    deletions.delete_principal(principal_id)


handler = lambda_handler(api)
