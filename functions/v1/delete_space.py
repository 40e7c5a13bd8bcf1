"""Delete a space.

It must have no projects (409 `space_not_empty`), and must not be the default space (409 `default_space`). It is final:
from the next request on the space is gone. The roles of its members end within a minute, each with its event. A project
that is created at the same moment goes with the space.
"""

from atrium.api.v1_deletions import Deletions, Id, lambda_handler, v1_api

api = v1_api(permission="space:create", access="DeleteUnused", refusals=(409,))


@api.delete("/v1/spaces/<space_id>", status_code=204)
def delete_space(space_id: Id, deletions: Deletions) -> None:
    deletions.delete_space(space_id)


handler = lambda_handler(api)
