"""Functions that react to events of the bus. Rules, validation and idempotency are those of HTTP.

An event may arrive more than once, so its id is the idempotency key: `detail.id` where the sender gives one (Atrium's
own events have it), else the id from the bus. The function acts for the principal that the event names, so IAM decides
who may put events on the bus or invoke the function.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from atrium import documents
from atrium.automation.invocation import Handler, committed, parsed, refusals_told
from atrium.cold_start import warm
from atrium.errors import Detail, Duplicate, Invalid, NotFound, Refusal
from atrium.ids import from_uuid
from atrium.models import Caller, Who
from atrium.permissions import Role
from atrium.settings import settings
from atrium.store.change import in_space
from atrium.store.engine.scope import scope
from atrium.store.engine.table import connect, table
from atrium.store.engine.work import IdempotencyKey, Work
from atrium.store.members import Members
from atrium.store.principals import acting
from atrium.store.projects import Projects
from atrium.telemetry import say, what_failed
from atrium.text import Document, Name, Uuid


class ProjectRequest(BaseModel):
    """A project to create on behalf of a principal, in the tenant's default space without a `space_id`."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern="^[\x21-\x7e]{1,255}$")]
    tenant_id: Uuid
    principal_id: Uuid
    space_id: Uuid | None = None
    name: Name
    client_name: Name = ""
    description: Document = documents.Raw("null")


def project_creating_handler() -> Handler:
    """The handler of a queue's batch, an event of the bus, or a ProjectRequest. Its result is the project as in v1, or
    the failures of the batch. Raises Refused and Unavailable.
    """
    warm(connect)

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        if "Records" not in event:
            with refusals_told():
                return _create(_requested(json.dumps(event)), context)
        failed = []
        for record in event["Records"]:
            try:
                _create(_requested(record["body"]), context)
            except Refusal as refusal:
                say("Refused", "WARN", message_id=record["messageId"], reason=refusal.message)
                failed.append(record["messageId"])
            except Exception as error:
                say("Failed", "ERROR", message_id=record["messageId"], **what_failed(error))
                failed.append(record["messageId"])
        return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}

    return handler


def viewer_adding_handler() -> Handler:
    """The handler of the bus's project.created: adds the principal of the settings as a viewer, on behalf of the
    project's manager. Its result says whether the principal was added. Raises Refused and Unavailable.
    """
    warm(connect)

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        with refusals_told():
            return {"added": _add_viewer(event["detail"], context)}

    return handler


def _create(request: ProjectRequest, context: Any) -> dict[str, Any]:
    with scope(request.tenant_id):
        work = Work(
            table(),
            _actor(request.tenant_id, request.principal_id),
            IdempotencyKey(("create_project_from_event", request.id), _fingerprint(request.model_dump())),
            request=context.aws_request_id,
        )
        projects = Projects(work, request.space_id or request.tenant_id)

        def make() -> dict[str, Any]:
            return projects.create(
                name=request.name,
                client=request.client_name,
                description=request.description,
            ).resource()

        made: dict[str, Any] = json.loads(committed(work, "id", 201, make).answer["body"])
        return made


def _requested(text: str) -> ProjectRequest:
    """The request in an event of the bus, or by itself. Raises Invalid."""
    try:
        event = documents.parse(text)
    except documents.NotJson as error:
        raise Invalid(Detail(("event",), str(error), "json_invalid")) from None
    if isinstance(event, dict) and isinstance(event.get("detail"), dict):
        event = {"id": event.get("id"), **event["detail"]}
    return parsed(ProjectRequest, event)


def _add_viewer(created: Mapping[str, Any], context: Any) -> bool:
    if not settings().viewer_principal or created["resource"] is None:
        return False  # nothing is asked for, or the project's events are erased
    tenant, viewer = from_uuid(created["tenant_id"]), from_uuid(settings().viewer_principal)
    space, project = from_uuid(created["space_id"]), from_uuid(created["project_id"])
    with scope(tenant):
        if acting(table(), tenant, viewer) is None:
            return False  # a project of another tenant than the principal's
        work = Work(
            table(),
            _actor(tenant, from_uuid(created["resource"]["manager_id"])),
            IdempotencyKey(("add_viewer", created["id"]), _fingerprint(viewer)),
            request=context.aws_request_id,
        )
        members = Members(work, in_space(space))

        def make() -> dict[str, Any]:
            return members.add(project, Who(viewer), Role.VIEWER).resource()

        try:
            return not committed(work, "id", 201, make).replayed
        except (Duplicate, NotFound):  # there already, or the project is deleted since
            return False


def _actor(tenant: str, principal: str) -> Caller:
    caller = acting(table(), tenant, principal)
    if caller is None:
        raise Invalid(Detail(("principal_id",), "No such principal", "unknown_principal"))
    return caller


def _fingerprint(request: Any) -> str:
    return sha256(documents.canonical(request).encode()).hexdigest()
