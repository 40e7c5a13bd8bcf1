"""Change a credential.

Its name, or an earlier end. Those that it issued, and those that they issued, end no later: at most 15 (409). 409 for
one that has ended, too.
"""

from atrium.api.v1_credentials import CredentialChange, Credentials, CredentialView, Id, lambda_handler, v1_api

api = v1_api(permission="credential:manage", who="admin; itself", access="Keyring", credentials=True, refusals=(409,))


@api.patch("/v1/principals/<principal_id>/credentials/<credential_id>")
def update_credential(
    principal_id: Id, credential_id: Id, change: CredentialChange, credentials: Credentials
) -> CredentialView:
    given = {"name": None, "expires_at": None} | change.given()
    return CredentialView.of(credentials.change(principal_id, credential_id, **given))


handler = lambda_handler(api)
