"""Get a space.

The caller needs a role in the space; one in a project of it is not enough.
"""

from atrium.api.v1_spaces import Id, Spaces, SpaceView, lambda_handler, v1_api

api = v1_api(permission="project:read", who="viewer of the space", access="Get")


@api.get("/v1/spaces/<space_id>")
def get_space(space_id: Id, spaces: Spaces) -> SpaceView:
    return SpaceView.of(spaces.get(space_id))


handler = lambda_handler(api)
