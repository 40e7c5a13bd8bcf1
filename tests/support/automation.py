"""Events for the functions without a URL: those that make each do all that it does."""

import json
import time
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from atrium import keys
from atrium.store.engine.table import table
from atrium.store.engine.wire import wire_item
from atrium.store.purge import queued
from local.functions import call
from local.template import ROOT, Function
from tests.support.client import World, flat_id, v1_id
from tests.support.damage import LONG_AGO
from tests.support.requests import a_project
from tests.support.rows import meta_of, rows_here
from tests.support.webhooks import new_webhook
from tests.support.world import the_template
from tools.event_schemas import TYPES


def sample(function: Function) -> Any:
    return json.loads((ROOT / f"events/{function.handler.replace('.', '/').removesuffix('/handler')}.json").read_text())


def to_provision(world: World, sample: Any) -> list[Any]:
    """A new tenant, and more of one that is there."""
    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    ada = {"name": "Ada", "email": "ada@acme.example", "roles": {tenant: "viewer"}}
    return [sample, {"request_token": "more", "tenant_id": tenant, "principals": [ada]}]


def to_purge(world: World, sample: Any) -> list[Any]:
    """A deleted space with members; a deleted principal with a credential, and with a project that it was made the
    manager of by then; and a deleted project with members and records, as the stream tells of them. The sweep finds
    them by itself. All of it was deleted long ago, so that no purge waits."""
    project, joined, space = a_project(world), world.new_project(), world("POST", "/v1/spaces", {"name": "Attic"}).body
    world.new_note(world.new_record(project, "tasks"))
    person = world.new_principal()
    member = {"principal_id": person.rpartition("/")[2], "role_id": world.role("viewer")}
    for place in (joined, f"/v1/spaces/{space['id']}", world.space()):
        assert world("POST", f"{place}/members", member).status == 201
    assert world("POST", f"{person}/credentials", {"kind": "token", "name": "A", "enrol": True}).status == 201
    rows, batches = rows_here(), []
    for path in (person, f"/v1/spaces/{space['id']}", project):
        assert world("DELETE", path).status == 204
        row = next(row for row in queued(table()) if flat_id(path.rpartition("/")[2]) in row["sk"])
        rows.change(keys.Key(row["pk"], row["sk"]), deleted_at=LONG_AGO)
        image = wire_item({**row, "deleted_at": LONG_AGO})
        batches.append({"Records": [{"dynamodb": {"NewImage": image, "SequenceNumber": "100"}}]})
    meta = meta_of(world, joined)
    for at in (keys.project(meta["tenant"], meta["id"]), keys.space_project(meta["tenant"], meta["space"], meta["id"])):
        rows.change(at, manager=flat_id(member["principal_id"]))
    return batches


def to_create(world: World, sample: Any) -> list[Any]:
    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    return [{"id": "r-1", "tenant_id": tenant, "principal_id": world.uuid("owner"), "name": "Gemini"}]


def to_add_a_viewer(world: World, sample: Any) -> list[Any]:
    project = world("GET", world.new_project()).body
    ids = {"id": project["id"], "tenant_id": project["tenant_id"], "space_id": project["space_id"]}
    return [{"detail": {**ids, "project_id": project["id"], "resource": project}}]


def to_publish(world: World, sample: Any) -> list[Any]:
    """One of each type, each committed long after the moment in its id, and one with another number."""
    rows = rows_here()
    events = [deepcopy(sample) for _ in TYPES]
    for event, type in zip(events, TYPES, strict=True):
        image = meta_of(world, world.new_project())
        rows.change(keys.event(image["tenant"], image["last_events"][-1]), type=type)
        for record in event["Records"]:
            record["dynamodb"] |= {"NewImage": wire_item(image), "ApproximateCreationDateTime": int(time.time()) + 60}
    # One that has got another number in the meantime.
    image = meta_of(world, world.new_project())
    rows.change(keys.event(image["tenant"], image["last_events"][-1]), sequence=7)
    (numbered,) = deepcopy(sample["Records"])
    numbered["dynamodb"] |= {"NewImage": wire_item(image), "ApproximateCreationDateTime": int(time.time())}
    return [{"Records": [numbered]}, *events]


def to_export(world: World, sample: Any) -> list[Any]:
    """A day without events."""
    day = datetime.now(UTC).date() - timedelta(days=9)
    return [{**sample, "since": str(day), "until": str(day + timedelta(days=1))}]


def to_erase(world: World, sample: Any) -> list[Any]:
    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    return [{"tenant_id": tenant, "project_id": v1_id(flat_id(world.new_project().rpartition("/")[2]))}]


def messages(*bodies: Any) -> Any:
    return {"Records": [{"messageId": str(place), "body": json.dumps(body)} for place, body in enumerate(bodies)]}


def of_webhooks(world: World) -> tuple[dict[str, str], Any]:
    """The ids of a new webhook that nothing is behind, and the event of a new project, as the bus has it."""
    path = new_webhook(world, url="http://127.0.0.1:9/")["path"]
    world.new_project()
    event = world("GET", "/v1/events?type=project.created&limit=1").body["data"][0]
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    return {"tenant": tenant, "webhook": flat_id(path.rpartition("/")[2])}, {"source": "atrium", "detail": event}


def to_fan_out(world: World, sample: Any) -> list[Any]:
    """An event, twice; and a recovery of it."""
    ids, event = of_webhooks(world)
    path = f"/v1/webhooks/{v1_id(ids['webhook'])}"
    job = world("POST", f"{path}/recover", {"since": "2026-01-01"}).body["id"]
    return [messages(event, event), messages({"recover": {**ids, "recovery": flat_id(job)}})]


def to_deliver(world: World, sample: Any) -> list[Any]:
    """A webhook that is due, and does not answer; its delivery, which waits since; and what is due and there no more.
    The fan-out has begun the delivery."""
    ids, event = of_webhooks(world)
    call(the_template().functions["FanOutEvents"], messages(event))
    state = rows_here().get(keys.endpoint_state(*ids.values()))
    assert state is not None
    delivery = {**ids, "event": flat_id(event["detail"]["id"]), "attempt": 1}
    gone = {**ids, "event": "0" * 24, "attempt": 1, "at": "2026-01-01T00:00:00.000Z"}
    return [messages({**ids, "at": state["due_at"]}), messages(delivery), messages(gone)]


# For each function, events that make it do everything it can. The check of the table is in tests/automation/fsck, dead
# letters are in tests/automation/redrive.
WITHOUT_URL: dict[str, Callable[[World, Any], list[Any]]] = {
    "Provision": to_provision,
    "IssueCredential": lambda world, sample: [sample],
    "RotateCredential": lambda world, sample: [sample, {**sample, "request_token": "again"}],
    "RevokeCredential": lambda world, sample: [sample],
    "ListCredentials": lambda world, sample: [sample],
    "PublishEvents": to_publish,
    "PurgeDeleted": to_purge,
    "SweepDeleted": to_purge,
    "CreateProjectFromEvent": to_create,
    "AddViewer": to_add_a_viewer,
    "FanOutEvents": to_fan_out,
    "DeliverEvents": to_deliver,
    "SweepDeliveries": lambda world, sample: [sample],
    "Erase": to_erase,
    "ExportEvents": to_export,
}
