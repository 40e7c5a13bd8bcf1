"""Create a credential.

To oneself; or as an admin to a service. For another user an admin issues only one that enrols it: the user
rotates it, and has a whole credential of its own. A credential is at most as wide as the one that is sent with
the request, and ends no later. `secret` is in the first answer alone. 409 with 50 credentials that have not ended, and
for an identity that is registered.
"""

from atrium.api.v1_credentials import Credentials, Id, NewCredential, SecretView, lambda_handler, v1_api

api = v1_api(permission="credential:manage", who="admin; itself", access="Keyring", credentials=True, refusals=(409,))


@api.post("/v1/principals/<principal_id>/credentials", status_code=201)
def create_credential(principal_id: Id, new: NewCredential, credentials: Credentials) -> SecretView:
    return SecretView.made(credentials.create(principal_id, new.wanted()), credentials.secrets)


handler = lambda_handler(api)
