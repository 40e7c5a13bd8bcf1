"""A request for each error code, with the expected status and body."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from atrium import keys
from atrium.api.paging import cursor_behind
from atrium.store import change, members, spaces
from atrium.store.engine.table import table
from local.functions import FunctionFailed, FunctionThrottled
from local.gateway import MAX_BODY_BYTES, Gateway
from tests.support.client import (
    MISSING,
    MOMENT,
    RECORDS,
    Answer,
    World,
    flat_id,
    flat_path,
    in_camel_case,
    through,
    v1_id,
)
from tests.support.clock import unhurried
from tests.support.credentials import asked, made, make_room, of
from tests.support.fake import Fake
from tests.support.faults import faulty
from tests.support.requests import BOT, FLAT
from tests.support.rows import Rows, set_status
from tests.support.webhooks import a_recovery, a_test, new_url, new_webhook

NOWHERE = "0" * 24
INACTIVE = "The principal of this credential is suspended or deleted."
# What one refusal looks like: the answer, its status, and what its body says.
Met = tuple[Answer, int, Any]


def flat(answer: Answer, status: int, message: str) -> Met:
    return answer, status, {"error": message}


def v1(answer: Answer, status: int, message: str) -> Met:
    return answer, status, {"detail": message}


def v1_place(answer: Answer, loc: list[str], msg: str, type: str) -> Met:
    return answer, 422, {"detail": [{"loc": loc, "msg": msg, "type": type}]}


def gateway(answer: Answer, status: int, message: str) -> Met:
    return answer, status, {"error": message, "detail": message}


def both(
    world: World, method: str, path: str, status: int, message: str, body: Any = MISSING, **options: Any
) -> Iterator[Met]:
    """The same in either dialect, by the v1 path. A record that is sent is spelled in both."""
    yield v1(world(method, path, body, **options), status, message)
    sent = in_camel_case(body) if isinstance(body, dict) else body
    yield flat(world(method, flat_path(path), sent, **options), status, message)


def invalid_request(world: World) -> Iterator[Met]:
    yield v1_place(world("POST", world.projects(), {}), ["body", "name"], "Field required", "missing")
    lacking = {"projectName": "Apollo", "clientName": "Acme"}
    yield flat(world("POST", "/projects", lacking), 400, "description: Field required")


def json_invalid(world: World) -> Iterator[Met]:
    message = "Invalid JSON at character 0: Expecting value"
    yield v1_place(world("POST", world.projects(), content=b"x"), ["body"], message, "json_invalid")
    yield flat(world("POST", "/projects", content=b"x"), 400, f"body: {message}")
    message = "Must be UTF-8"
    yield v1_place(world("POST", world.projects(), content=b"\xff"), ["body"], message, "json_invalid")
    yield flat(world("POST", "/projects", content=b"\xff"), 400, f"body: {message}")


def idempotency_key_reused(world: World) -> Iterator[Met]:
    message = "This Idempotency-Key was used for another request. Send a new one."
    place = ["header", "Idempotency-Key"]
    world.new_project("Apollo", key="used")
    again = world("POST", world.projects(), {"name": "Gemini"}, key="used")
    yield v1_place(again, place, message, "idempotency_key_reused")
    assert world("POST", "/projects", FLAT, key="used").status == 201
    again = world("POST", "/projects", {**FLAT, "clientName": "Ours"}, key="used")
    yield flat(again, 400, f"Idempotency-Key: {message}")


def not_a_member(world: World) -> Iterator[Met]:
    message = "Must be a member of the project"
    project = world.new_project()
    named = world("PATCH", project, {"manager_id": world.uuid("outsider")})
    yield v1_place(named, ["body", "manager_id"], message, "not_a_member")
    task = flat_path(world.new_record(project, "tasks"))
    assigned = world("PATCH", f"{task}/reassign", {"assignedTo": world.id("outsider")})
    yield flat(assigned, 400, f"assignedTo: {message}")


def unknown_principal(world: World) -> Iterator[Met]:
    project = world.new_project()
    body = {"principal_id": v1_id(NOWHERE), "role_id": world.role("viewer")}
    added = world("POST", f"{project}/members", body)
    yield v1_place(added, ["body", "principal_id"], "No such principal", "unknown_principal")
    yield flat(world("POST", f"{flat_path(project)}/team", {"id": NOWHERE}), 400, "id: No such principal")


def unknown_role(world: World) -> Iterator[Met]:
    body = {"principal_id": world.uuid("viewer"), "role_id": v1_id(NOWHERE)}
    added = world("POST", f"{world.new_project()}/members", body)
    yield v1_place(added, ["body", "role_id"], "No such role of projects. See GET /v1/roles", "unknown_role")


def unauthorized(world: World) -> Iterator[Met]:
    message = "Missing or invalid credentials. Send one of: Authorization: Bearer <token>, or X-API-Key: <key>."
    for path in ("/v1/me", "/projects"):
        yield gateway(world("GET", path, by=None), 401, message)


def several_credentials(world: World) -> Iterator[Met]:
    message = (
        "Two different credentials were sent. Send exactly one: Authorization: Bearer <token>, or X-API-Key: <key>."
    )
    for path in ("/v1/me", "/projects"):
        yield gateway(world("GET", path, headers={"X-API-Key": "another"}), 401, message)


def project_read_required(world: World) -> Iterator[Met]:
    yield from both(world, "GET", world.new_project(), 403, "You do not have access to this project.", by="outsider")
    message = "You do not have access to this space."
    yield v1(world("GET", world.projects(), by="outsider"), 403, message)
    yield v1(world("POST", world.projects(), {"name": "Apollo"}, by="outsider"), 403, message)
    yield flat(world("POST", "/projects", FLAT, by="outsider"), 403, message)


def project_create_required(world: World) -> Iterator[Met]:
    message = "You may not create projects in this space."
    yield v1(world("POST", world.projects(), {"name": "Apollo"}, by="viewer"), 403, message)
    yield flat(world("POST", "/projects", FLAT, by="viewer"), 403, message)


def project_update_required(world: World) -> Iterator[Met]:
    changed = world("PATCH", world.new_project(), {"name": "Gemini"}, by="viewer")
    yield v1(changed, 403, "You may not change this project.")


def project_transfer_required(world: World) -> Iterator[Met]:
    given = world("PATCH", world.new_project(), {"manager_id": world.uuid("contributor")}, by="contributor")
    yield v1(given, 403, "You may not hand this project over.")


def project_delete_required(world: World) -> Iterator[Met]:
    yield v1(world("DELETE", world.new_project(), by="contributor"), 403, "You may not delete this project.")


def member_manage_required(world: World) -> Iterator[Met]:
    project, message = world.new_project(), "You may not manage the members of this project."
    body = {"principal_id": world.uuid("viewer"), "role_id": world.role("viewer")}
    yield v1(world("POST", f"{project}/members", body, by="contributor"), 403, message)
    team = f"{flat_path(project)}/team"
    yield flat(world("POST", team, {"id": world.id("viewer")}, by="contributor"), 403, message)
    yield flat(world("POST", f"{team}/find", {"email": "a@acme.example"}, by="contributor"), 403, message)


def record_write_required(world: World) -> Iterator[Met]:
    message = "You may not change the records of this project."
    project = world.new_project()
    for kind, fields in RECORDS.items():
        yield from both(world, "POST", f"{project}/{kind}", 403, message, fields, by="viewer")


def manager_required(world: World) -> Iterator[Met]:
    project = flat_path(world.new_project())
    message = "Only the project manager can {} this project."
    yield flat(world("PUT", project, FLAT, by="contributor"), 403, message.format("update"))
    yield flat(world("DELETE", project, by="contributor"), 403, message.format("delete"))


def not_author(world: World) -> Iterator[Met]:
    note = world.new_note(world.new_record(world.new_project(), "tasks"))
    yield flat(world("DELETE", note, by="contributor"), 403, "Only its author can delete a note.")


def route_not_found(world: World) -> Iterator[Met]:
    for path in ("/v1/nothing", "/nothing", "/"):
        yield gateway(world("GET", path), 404, "No such route. Check the path and the method.")


def project_not_found(world: World) -> Iterator[Met]:
    message = "Project not found."
    yield from both(world, "GET", f"{world.projects()}/{v1_id(NOWHERE)}", 404, message)
    yield from both(world, "GET", world.new_project(), 404, message, tenant="globex")
    # An id that is none names nothing.
    yield flat(world("GET", "/projects/x"), 404, message)


def space_not_found(world: World) -> Iterator[Met]:
    path = f"/v1/spaces/{v1_id(NOWHERE)}/projects"
    yield v1(world("GET", path), 404, "Space not found.")
    yield v1(world("POST", path, {"name": "Apollo"}), 404, "Space not found.")


def member_not_found(world: World) -> Iterator[Met]:
    project = world.new_project()
    yield v1(world("GET", f"{project}/members/{v1_id(NOWHERE)}"), 404, "Member not found.")
    yield flat(world("DELETE", f"{flat_path(project)}/team/{NOWHERE}"), 404, "Member not found.")


def user_not_found(world: World) -> Iterator[Met]:
    path = f"{flat_path(world.new_project())}/team/find"
    yield flat(world("POST", path, {"email": "a@acme.example"}), 404, "User not found.")


def record_not_found(kind: str) -> Callable[[World], Iterator[Met]]:
    def meet(world: World) -> Iterator[Met]:
        path = f"{world.new_project()}/{kind}s/{v1_id(NOWHERE)}"
        yield from both(world, "DELETE", path, 404, f"{kind.title()} not found.")
        yield v1(world("GET", path), 404, f"{kind.title()} not found.")

    return meet


def note_not_found(world: World) -> Iterator[Met]:
    task = flat_path(world.new_record(world.new_project(), "tasks"))
    yield flat(world("DELETE", f"{task}/notes/{NOWHERE}"), 404, "Note not found.")


def principal_not_found(world: World) -> Iterator[Met]:
    path, message = f"/v1/principals/{v1_id(NOWHERE)}", "Principal not found."
    yield v1(world("GET", path), 404, message)
    yield v1(world("PATCH", path, {"name": "B"}), 404, message)
    yield v1(world("GET", f"{path}/projects"), 404, message)
    yield v1(world("GET", f"{path}/credentials"), 404, message)


def principal_inactive(world: World) -> Iterator[Met]:
    rows = Rows(boto3.client("dynamodb"), table().name)
    me = world("GET", "/v1/me", by="viewer", tenant="globex").body
    key = keys.principal(flat_id(me["tenant_id"]), me["id"])
    was = rows.get(key)
    assert was is not None
    for path in ("/v1/me", "/v1/roles", "/projects"):
        for row in (None, {**was, "status": "suspended"}):
            if row is None:
                rows.delete(key)
            else:
                rows.put(key, row)
            answer = world("GET", path, by="viewer", tenant="globex")
            assert answer.headers["www-authenticate"] == "Bearer"
            yield gateway(answer, 401, INACTIVE)
    rows.put(key, was)


def principal_manage_required(world: World) -> Iterator[Met]:
    message = "You may not manage the principals of this tenant."
    yield v1(world("GET", "/v1/principals", by="contributor"), 403, message)
    yield v1(world("POST", "/v1/principals", BOT, by="contributor"), 403, message)
    yield v1(world("GET", f"/v1/principals/{v1_id(NOWHERE)}", by="contributor"), 403, message)


def email_taken(world: World) -> Iterator[Met]:
    message = "Another principal has this e-mail address."
    yield v1(world("POST", "/v1/principals", {**BOT, "email": "Viewer@acme.example"}), 409, message)
    yield v1(world("PATCH", world.new_principal(), {"email": "viewer@acme.example"}), 409, message)


def external_id_taken(world: World) -> Iterator[Met]:
    message = "Another principal has this external id."
    assert world("POST", "/v1/principals", {**BOT, "external_id": "taken"}).status == 201
    yield v1(world("POST", "/v1/principals", {**BOT, "external_id": "taken"}), 409, message)
    yield v1(world("PATCH", world.new_principal(), {"external_id": "taken"}), 409, message)


def last_admin(world: World) -> Iterator[Met]:
    path, message = f"/v1/principals/{world.uuid('owner')}", "A tenant keeps one active admin."
    yield v1(world("PATCH", path, {"tenant_role": "member"}), 409, message)
    yield v1(world("PATCH", path, {"status": "suspended"}), 409, message)
    yield v1(world("DELETE", path), 409, message)


def event_read_required(world: World) -> Iterator[Met]:
    message = "You may not read the events of this tenant."
    for path in ("/v1/events", f"/v1/events?project_id={v1_id(NOWHERE)}", f"/v1/events/{v1_id(NOWHERE)}"):
        yield v1(world("GET", path, by="contributor"), 403, message)


def event_not_found(world: World) -> Iterator[Met]:
    yield v1(world("GET", f"/v1/events/{v1_id(NOWHERE)}"), 404, "Event not found.")


def events_expired(world: World) -> Iterator[Met]:
    cursor = cursor_behind(NOWHERE, "/v1/events?order=asc")
    answer = world("GET", f"/v1/events?order=asc&cursor={cursor}")
    oldest = MOMENT.search(answer.body["detail"])
    assert oldest is not None
    told = f"Events are kept from {oldest[0]} on, and older ones were asked for. Start again since that time."
    yield v1(answer, 410, told)


def space_manage_required(world: World) -> Iterator[Met]:
    message = "You may not change this space."
    yield v1(world("PATCH", world.space(), {"name": "B"}, by="contributor"), 403, message)


def space_create_required(world: World) -> Iterator[Met]:
    message = "You may not create or delete spaces."
    yield v1(world("POST", "/v1/spaces", {"name": "B"}, by="contributor"), 403, message)


def tenant_update_required(world: World) -> Iterator[Met]:
    message = "You may not change this tenant."
    yield v1(world("PATCH", "/v1/tenant", {"name": "B"}, by="contributor"), 403, message)


def principal_suspended(world: World) -> Iterator[Met]:
    project, message = world.new_project(), "The principal is suspended."
    set_status(world, "outsider", "suspended")
    body = {"principal_id": world.uuid("outsider"), "role_id": world.role("viewer")}
    yield v1(world("POST", f"{project}/members", body), 409, message)
    yield v1(world("POST", f"{world.space()}/members", body), 409, message)
    yield flat(world("POST", f"{flat_path(project)}/team", {"id": world.id("outsider")}), 409, message)
    set_status(world, "outsider", "active")


def last_owner(world: World) -> Iterator[Met]:
    made = world("POST", "/v1/spaces", {"name": "Lab", "owner_id": world.uuid("viewer")})
    member = f"/v1/spaces/{made.body['id']}/members/{world.uuid('viewer')}"
    message = "This is the last owner of the space. Make another member an owner first."
    yield v1(world("DELETE", member, by="viewer"), 409, message)
    yield v1(world("PATCH", member, {"role_id": world.role("viewer")}, by="viewer"), 409, message)


def space_not_empty(world: World) -> Iterator[Met]:
    project = world.new_project(space="research")
    yield v1(world("DELETE", world.space("research")), 409, "The space has projects. Delete them first.")
    assert world("DELETE", project).status == 204


def default_space(world: World) -> Iterator[Met]:
    yield v1(world("DELETE", world.space()), 409, "The default space of a tenant cannot be deleted.")


def is_manager(world: World) -> Iterator[Met]:
    project = world.new_project(by="contributor")
    message = "Hand over what it manages first."
    refused = world("DELETE", f"/v1/principals/{world.uuid('contributor')}")
    yield v1(refused, 409, f"The principal is the named manager of a project. {message}")
    assert world("DELETE", project).status == 204


def too_many_spaces(world: World) -> Iterator[Met]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spaces, "MAX_SPACES", 1)
        message = "A principal may have a role in at most 1 spaces."
        yield v1(world("POST", "/v1/spaces", {"name": "Lab"}), 409, message)


def project_archived(world: World) -> Iterator[Met]:
    project = world.new_project()
    assert world("PATCH", project, {"status": "archived"}).status == 200
    made = world("POST", f"{project}/tasks", RECORDS["tasks"])
    yield v1(made, 409, "The project is archived. Set its status to active first.")
    made = world("POST", f"{flat_path(project)}/tasks", in_camel_case(RECORDS["tasks"]))
    yield flat(made, 409, "The project is archived: it can be read and deleted, but not changed.")


def named_manager(world: World) -> Iterator[Met]:
    project = world.new_project()
    message = "This member is the project's manager. Hand the project over first: PATCH its manager_id."
    yield v1(world("DELETE", f"{project}/members/{world.uuid('owner')}"), 409, message)
    message = "This user is the project's manager, who cannot be removed."
    yield flat(world("DELETE", f"{flat_path(project)}/team/{world.id('owner')}"), 409, message)


def already_member(world: World) -> Iterator[Met]:
    project = world.new_project()
    body = {"principal_id": world.uuid("owner"), "role_id": world.role("viewer")}
    message = "The principal is a member of the project already."
    yield v1(world("POST", f"{project}/members", body), 409, message)
    message = "This user is a member of the project already."
    yield flat(world("POST", f"{flat_path(project)}/team", {"id": world.id("owner")}), 400, message)


def too_many_members(world: World) -> Iterator[Met]:
    project, message = world.new_project(), "A project may have at most 1 members."
    with pytest.MonkeyPatch.context() as patch:
        for module in (change, members):
            patch.setattr(module, "MAX_MEMBERS", 1)
        body = {"principal_id": world.uuid("viewer"), "role_id": world.role("viewer")}
        yield v1(world("POST", f"{project}/members", body), 409, message)
        yield flat(world("POST", f"{flat_path(project)}/team", {"id": world.id("viewer")}), 409, message)


def version_mismatch(world: World) -> Iterator[Met]:
    message = "If-Match names another version than the current one. Read it again."
    yield from both(world, "DELETE", world.new_project(), 412, message, headers={"If-Match": '"v-9"'})
    message = "If-Match names a version, and what is not there yet has none. Leave it out."
    yield flat(world("POST", "/projects", FLAT, headers={"If-Match": "*"}), 412, message)


# ---------------------------------------------------------------- credentials


def credential_manage_required(world: World) -> Iterator[Met]:
    message = "You may not manage the credentials of other principals."
    yield v1(world("GET", of(world, "owner"), by="viewer"), 403, message)


def credential_narrowed(world: World) -> Iterator[Met]:
    message = "Your credential is narrowed and does not permit this, though you may do it with one that does."
    project = world.new_project()
    reader = made(world, "owner", permissions=["project:read"])["secret"]
    yield v1(asked(world, reader, "PATCH", project, {"name": "B"}), 403, message)
    body = {"name": "B", "description": "C", "phase": "business"}
    yield flat(asked(world, reader, "POST", f"{flat_path(project)}/tasks", body), 403, message)


def enrolment_required(world: World) -> Iterator[Met]:
    new = {"kind": "token", "name": "T"}
    yield v1(
        world("POST", of(world, "viewer"), new),
        403,
        "A person makes its own credentials. Issue one that enrols the person.",
    )
    one = made(world, "viewer", by="viewer")
    message = "A person rotates its own credentials. Issue one that enrols the person."
    yield v1(world("POST", f"{one['path']}/rotate", {}), 403, message)


def credential_not_found(world: World) -> Iterator[Met]:
    yield v1(world("GET", of(world, "owner", v1_id(NOWHERE))), 404, "Credential not found.")


def credential_ended(world: World) -> Iterator[Met]:
    one = made(world, "owner")
    assert world("DELETE", one["path"]).status == 204
    message = "The credential has ended. Issue another one."
    yield v1(world("PATCH", one["path"], {"name": "B"}), 409, message)
    yield v1(world("POST", f"{one['path']}/rotate", {}), 409, message)


def rotated_already(world: World) -> Iterator[Met]:
    one = made(world, "owner")
    secret = world("POST", f"{one['path']}/rotate", {}).body["secret"]
    assert asked(world, secret, "GET", "/v1/me").status == 200
    message = "It was rotated, and both of its secrets are in use. Rotate it again once the older one has ended."
    yield v1(world("POST", f"{one['path']}/rotate", {}), 409, message)


def an_enrolment(world: World) -> Any:
    return made(world, "viewer", enrol=True)


def enrolment_only(world: World) -> Iterator[Met]:
    message = "Your credential only enrols you. Rotate it, and send the secret of that answer."
    secret = an_enrolment(world)["secret"]
    yield v1(asked(world, secret, "GET", world.projects()), 403, message)
    yield flat(asked(world, secret, "GET", "/projects"), 403, message)


def enrolled_already(world: World) -> Iterator[Met]:
    one = an_enrolment(world)
    whole = asked(world, one["secret"], "POST", f"{one['path']}/rotate", {}).body["secret"]
    assert asked(world, whole, "GET", "/v1/me").status == 200
    message = "The credential was made whole, and its new secret is in use. If not by you, have it revoked."
    yield v1(asked(world, one["secret"], "POST", f"{one['path']}/rotate", {}), 409, message)


def nothing_to_rotate(world: World) -> Iterator[Met]:
    listed = world("GET", of(world, "owner")).body["data"]
    (identity,) = (each["id"] for each in listed if each["kind"] == "identity")
    message = "An identity has no secret to rotate. Issue another one and revoke this one."
    yield v1(world("POST", of(world, "owner", identity, "rotate"), {}), 409, message)


def too_many_credentials(world: World) -> Iterator[Met]:
    message = "A principal has at most 50 credentials that have not ended. Revoke one first."
    while (answer := world("POST", of(world, "viewer"), {"kind": "token", "name": "T"}, by="viewer")).status == 201:
        pass
    yield v1(answer, 409, message)


def too_many_issued(world: World) -> Iterator[Met]:
    make_room(world, "owner")
    root = made(world, "owner")
    for _ in range(16):
        made(world, "owner", root["secret"])
    message = "It made more than 15 credentials. Revoke some first, with what they made."
    yield v1(world("DELETE", f"{root['path']}?issued=true"), 409, message)


def webhook_manage_required(world: World) -> Iterator[Met]:
    message = "You may not manage the webhooks of this tenant."
    yield v1(world("GET", "/v1/webhooks", by="viewer"), 403, message)


def webhook_not_found(world: World) -> Iterator[Met]:
    yield v1(world("GET", f"/v1/webhooks/{v1_id(NOWHERE)}"), 404, "Webhook not found.")


def delivery_not_found(world: World) -> Iterator[Met]:
    path = new_webhook(world)["path"]
    yield v1(world("GET", f"{path}/deliveries/{v1_id(NOWHERE)}"), 404, "Delivery not found.")
    yield v1(world("POST", f"{path}/deliveries/{v1_id(NOWHERE)}/redeliver", {}), 404, "Delivery not found.")


def recovery_not_found(world: World) -> Iterator[Met]:
    path = new_webhook(world)["path"]
    yield v1(world("GET", f"{path}/recoveries/{v1_id(NOWHERE)}"), 404, "Recovery not found.")


def too_many_webhooks(world: World) -> Iterator[Met]:
    """At one host, and in the tenant."""
    url, body = new_url(), {"events": ["*"]}
    for _ in range(3):
        new_webhook(world, url=url)
    message = "A tenant has at most 3 webhooks at one host. Delete one of them first."
    yield v1(world("POST", "/v1/webhooks", {**body, "url": url}), 409, message)
    yield v1(world("PATCH", new_webhook(world)["path"], {"url": url}), 409, message)
    while (answer := world("POST", "/v1/webhooks", {**body, "url": new_url()})).status == 201:
        pass
    yield v1(answer, 409, "A tenant has at most 20 webhooks. Delete one first.")


def webhook_inactive(world: World) -> Iterator[Met]:
    path, delivery = a_test(world)
    assert world("PATCH", path, {"status": "paused"}).status == 200
    message = "The webhook is paused. Set its status to active first."
    for suffix in ("test", "recover", f"deliveries/{delivery['event_id']}/redeliver"):
        body = {"since": "2026-01-01"} if suffix == "recover" else {}
        yield v1(world("POST", f"{path}/{suffix}", body), 409, message)


def webhook_tested_recently(world: World) -> Iterator[Met]:
    path, _ = a_test(world)
    message = "The webhook was tested in the last minute. Wait a minute."
    yield v1(world("POST", f"{path}/test", {}), 409, message)


def recovery_running(world: World) -> Iterator[Met]:
    path = a_recovery(world).rpartition("/recoveries/")[0]
    message = "A recovery of this webhook is running. Wait for its end."
    yield v1(world("POST", f"{path}/recover", {"since": "2026-01-01"}), 409, message)


def version_is_current(world: World) -> Iterator[Met]:
    message = "If-None-Match names the current version."
    yield from both(world, "DELETE", world.new_project(), 412, message, headers={"If-None-Match": "*"})


def body_too_large(world: World) -> Iterator[Met]:
    message, sent = "The body may have at most 256 KB.", b'{"name": "%s"}' % (b"x" * 262_144)
    yield v1(world("POST", world.projects(), content=sent), 413, message)
    yield flat(world("POST", "/projects", content=sent), 413, message)
    sent = b" " * (MAX_BODY_BYTES + 1)
    yield gateway(world("POST", "/projects", content=sent), 413, "The request body is too large.")


def media_type_unsupported(world: World) -> Iterator[Met]:
    for headers, message in (
        ({"Content-Type": "text/plain"}, "Send the body as Content-Type: application/json, in UTF-8."),
        ({"Content-Encoding": "gzip"}, "Send the body as it is, without a Content-Encoding."),
    ):
        yield v1(world("POST", world.projects(), content=b"{}", headers=headers), 415, message)
        yield flat(world("POST", "/projects", content=b"{}", headers=headers), 415, message)


BUSY = "The service is busy. Send the same request again, with the same Idempotency-Key."
FAULT = "Internal server error."


def try_again(world: World) -> Iterator[Met]:
    project = world.new_project()
    with faulty(lambda _, operation, __: "throttle" if operation == "TransactWriteItems" else None, unhurried()):
        yield from both(world, "DELETE", project, 503, BUSY)
    yield gateway(behind(world, FunctionThrottled("any"))("GET", "/projects", by=None), 503, BUSY)


def internal_error(world: World) -> Iterator[Met]:
    # No fault that the functions know, and only after the effect.
    one, other = world.new_project(), world.new_project()
    with faulty(lambda _, operation, __: "unknown" if operation == "TransactWriteItems" else None):
        yield v1(world("DELETE", one), 500, FAULT)
        yield flat(world("DELETE", flat_path(other)), 500, FAULT)
    yield gateway(behind(world, FunctionFailed("KeyError", "boom"))("GET", "/projects", by=None), 502, FAULT)


def behind(world: World, failure: Exception) -> World:
    """The same API, whose functions fail behind an authorizer that lets everybody in."""
    assert world.gateway is not None
    made = world.gateway
    return World(through(Gateway(made._document, made._functions, Fake(route=failure), made._stage)), world.dev)


MEETINGS: dict[str, Callable[[World], Iterator[Met]]] = {
    meet.__name__: meet
    for meet in (
        *(invalid_request, json_invalid, idempotency_key_reused, not_a_member, unknown_principal, unknown_role),
        *(unauthorized, several_credentials),
        *(project_read_required, project_create_required, project_update_required, project_transfer_required),
        *(project_delete_required, member_manage_required, record_write_required, manager_required, not_author),
        *(route_not_found, project_not_found, space_not_found, member_not_found, user_not_found, note_not_found),
        *(event_read_required, event_not_found, events_expired),
        *(principal_inactive, principal_not_found, principal_manage_required, principal_suspended),
        *(email_taken, external_id_taken, last_admin, last_owner, too_many_spaces),
        *(space_manage_required, space_create_required, tenant_update_required),
        *(project_archived, named_manager, already_member, too_many_members),
        *(space_not_empty, default_space, is_manager),
        *(webhook_manage_required, webhook_not_found, delivery_not_found, recovery_not_found, too_many_webhooks),
        *(webhook_inactive, webhook_tested_recently, recovery_running),
        *(credential_manage_required, credential_narrowed, enrolment_required, credential_not_found),
        *(enrolment_only, enrolled_already),
        *(credential_ended, rotated_already, nothing_to_rotate, too_many_credentials, too_many_issued),
        *(version_mismatch, version_is_current, body_too_large, media_type_unsupported, try_again, internal_error),
    )
} | {f"{kind}_not_found": record_not_found(kind) for kind in ("task", "dataset", "experiment", "decision")}
# What no request to a laptop meets, and why.
NEVER_MET = {
    "role_above_own": "who manages members is a manager at least, and no role of a project is above that",
    "identity_registered": "these tests trust no issuer; tests/routes/credentials/test_delegation.py does",
    "too_many_requests": "API Gateway throttles; a laptop does not",
    "timed_out": "API Gateway waits longer than any function of a route may take",
    "request_refused": "API Gateway's types that the template does not name, such as a firewall's",
}
