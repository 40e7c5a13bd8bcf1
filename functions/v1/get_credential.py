"""Get a credential.

Without its secret, which is shown once, when it is made.
"""

from atrium.api.v1_credentials import Credentials, CredentialView, Id, lambda_handler, v1_api

api = v1_api(permission="credential:manage", who="admin; itself", access="GetCredential", credentials=True)


@api.get("/v1/principals/<principal_id>/credentials/<credential_id>")
def get_credential(principal_id: Id, credential_id: Id, credentials: Credentials) -> CredentialView:
    return CredentialView.of(credentials.get(principal_id, credential_id))


handler = lambda_handler(api)
