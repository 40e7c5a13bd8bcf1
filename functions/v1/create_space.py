"""Create a space.

You own it, unless `owner_id` names another principal, or is null. 409 if the owner is suspended, or has a role in 100
spaces already.
"""

from atrium.api.v1_spaces import NewSpace, Spaces, SpaceView, lambda_handler, v1_api

api = v1_api(permission="space:create", access="Write", refusals=(409,))


@api.post("/v1/spaces", status_code=201)
def create_space(new: NewSpace, spaces: Spaces) -> SpaceView:
    owner = new.owner(spaces.caller)
    return SpaceView.of(spaces.create(name=new.name, description=new.description, owner=owner))


handler = lambda_handler(api)
