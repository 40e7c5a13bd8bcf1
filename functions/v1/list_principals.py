"""List principals.

All people and programs of the tenant, in the order of their ids. `q` finds those whose e-mail address, or a word of
whose name, begins so, each of them once: by their addresses first, then by their names. A page with a filter may be
short, and not be the last.
"""

from atrium.api.v1_principals import (
    Directory,
    ExternalIdQuery,
    Kind,
    Limit,
    Page,
    Place,
    PrincipalView,
    SearchText,
    Sought,
    Status,
    lambda_handler,
    page_of,
    v1_api,
)

api = v1_api(permission="principal:manage", access="List", refusals=(403,))


@api.get("/v1/principals")
def list_principals(
    directory: Directory,
    kind: Kind | None = None,
    status: Status | None = None,
    external_id: ExternalIdQuery | None = None,
    q: SearchText | None = None,
    limit: Limit = 20,
    cursor: Place | None = None,
) -> Page[PrincipalView]:
    sought = Sought(kind, status, external_id, q)
    return page_of(PrincipalView, directory.list(sought, limit=limit, after=cursor))


handler = lambda_handler(api)
