"""List a principal's credentials.

By age, those that have ended too. A caller without `credential:manage` sees those of its own that are no wider than the
credential that it sends.
"""

from atrium.api.v1_credentials import (
    Credentials,
    CredentialView,
    Cursor,
    Id,
    Limit,
    Page,
    lambda_handler,
    page_of,
    v1_api,
)

api = v1_api(permission="credential:manage", who="admin; itself", access="ListCredentials", credentials=True)


@api.get("/v1/principals/<principal_id>/credentials")
def list_credentials(
    principal_id: Id, credentials: Credentials, limit: Limit = 20, cursor: Cursor | None = None
) -> Page[CredentialView]:
    return page_of(CredentialView, credentials.list(principal_id, limit=limit, after=cursor))


handler = lambda_handler(api)
