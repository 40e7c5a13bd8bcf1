"""Rotate a credential.

Makes another secret. The older one ends `overlap_seconds` later, and the credential when it did. Meant for the
credential itself; otherwise the one that is sent is at least as wide, and ends no earlier. A person rotates its own,
and one that enrols a person is whole from then on. While the older secret is good, another rotation replaces the newest
one if that was never used, so a lost answer kills nothing that is in use; else 409.
"""

from atrium.api.v1_credentials import Credentials, Id, RotatedView, Rotation, lambda_handler, v1_api

api = v1_api(
    permission="credential:manage",
    who="itself; admin for a service",
    access="Credentials",
    credentials=True,
    enrols=True,
    refusals=(409,),
)


@api.post("/v1/principals/<principal_id>/credentials/<credential_id>/rotate")
def rotate_credential(principal_id: Id, credential_id: Id, rotation: Rotation, credentials: Credentials) -> RotatedView:
    held, ends = credentials.rotate(principal_id, credential_id, rotation.overlap_seconds)
    return RotatedView.rotated(held, ends, credentials.secrets)


handler = lambda_handler(api)
