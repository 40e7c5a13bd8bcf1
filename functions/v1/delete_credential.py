"""Revoke a credential.

With all its secrets: each has ended within 30 seconds. An identity may be registered again. Those that it issued stay,
unless `issued` is true: then they end with it, and so do those that they issued, at most 15 in one request (409). One
that is revoked stays revoked.
"""

from atrium.api.v1_credentials import Credentials, Id, lambda_handler, v1_api

api = v1_api(permission="credential:manage", who="admin; itself", access="Keyring", credentials=True, refusals=(409,))


@api.delete("/v1/principals/<principal_id>/credentials/<credential_id>", status_code=204)
def delete_credential(principal_id: Id, credential_id: Id, credentials: Credentials, issued: bool = False) -> None:
    credentials.revoke(principal_id, credential_id, issued=issued)


handler = lambda_handler(api)
