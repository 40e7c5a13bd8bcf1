"""Update a space.

Its name or its description; what is left out stays as it is.
"""

from atrium.api.v1_spaces import Id, SpaceChange, Spaces, SpaceView, lambda_handler, v1_api

api = v1_api(permission="space:manage", access="Write")


@api.patch("/v1/spaces/<space_id>")
def update_space(space_id: Id, change: SpaceChange, spaces: Spaces) -> SpaceView:
    return SpaceView.of(spaces.update(space_id, change.given()))


handler = lambda_handler(api)
