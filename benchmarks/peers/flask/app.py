"""POST /v1/spaces/{space_id}/projects with Flask and apig-wsgi, validated by pydantic."""

import re
from typing import Annotated, Any

from apig_wsgi import make_lambda_handler
from flask import Flask, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

import projects

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")
]

app = Flask(__name__)


class NewProject(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    description: dict[str, Any] | str | None = None


@app.errorhandler(projects.Refused)
def refused(refusal: projects.Refused) -> tuple[Response, int]:
    return jsonify(detail=refusal.detail), refusal.status


@app.errorhandler(ValidationError)
def invalid(error: ValidationError) -> tuple[Response, int]:
    return jsonify(detail=error.errors(include_url=False, include_context=False, include_input=False)), 422


@app.post("/v1/spaces/<space_id>/projects")
def create_project(space_id: str) -> tuple[Response, int]:
    if not UUID.fullmatch(space_id):
        return jsonify(detail="space_id must be a UUID"), 422
    new = NewProject.model_validate(request.get_json())
    caller = request.environ["apig_wsgi.request_context"]["authorizer"]
    return jsonify(projects.create(caller, space_id, new.name, new.description)), 201


handler = make_lambda_handler(app)
