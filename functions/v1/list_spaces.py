"""List spaces.

Those in which the caller has a role, in the order of their ids.
"""

from typing import Annotated

from pydantic import ConfigDict, Field

from atrium.api.v1 import Cursor, Limit, Page, Principals, ResourceView, lambda_handler, page_of, v1_api

api = v1_api(permission=None, access="Get", refusals=(404,))


class SpaceView(ResourceView):
    """A space."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "123e4567-e89b-12d3-a456-426614174000",
                "tenant_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0a0",
                "name": "Acme",
                "created_at": "2025-04-05T10:00:00Z",
            }
        }
    )

    id: Annotated[str, Field(description="The space's id, for the paths below `/v1/spaces`.")]
    tenant_id: str
    name: Annotated[str, Field(description="The space's name.")]
    created_at: str


@api.get("/v1/spaces")
def list_spaces(principals: Principals, limit: Limit = 20, cursor: Cursor | None = None) -> Page[SpaceView]:
    return page_of(SpaceView, principals.spaces(limit=limit, after=cursor))


handler = lambda_handler(api)
