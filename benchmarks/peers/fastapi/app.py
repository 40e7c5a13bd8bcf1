"""POST /v1/spaces/{space_id}/projects with FastAPI and Mangum.

The route is `async def`, though boto3 blocks: an environment has one request at a time, and a `def` route would run in
a thread, which costs a multiple.
"""

from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from mangum import Mangum
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

import projects

UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")
]

app = FastAPI()


class NewProject(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    description: dict[str, Any] | str | None = None


class Project(BaseModel):
    id: str
    tenant_id: str
    space_id: str
    name: str
    manager_id: str
    created_by: str
    status: str
    created_at: str
    updated_at: str
    description: dict[str, Any] | str | None = Field(default=None)


@app.exception_handler(projects.Refused)
async def refused(request: Request, refusal: projects.Refused) -> JSONResponse:
    return JSONResponse({"detail": refusal.detail}, refusal.status)


@app.post("/v1/spaces/{space_id}/projects", status_code=201)
async def create_project(
    space_id: Annotated[str, StringConstraints(pattern=UUID)], new: NewProject, request: Request
) -> Project:
    caller = request.scope["aws.event"]["requestContext"]["authorizer"]
    return Project(**projects.create(caller, space_id, new.name, new.description))


handler = Mangum(app, lifespan="off")
