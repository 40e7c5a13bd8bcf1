"""The table of requests: one row for each route behind a credential, a request that succeeds.

The tests that hold for every route take their requests from here: faults, schedules, authorization, foreign ids, the
hostile corpus, capacity, round trips, error codes, changes, idempotency, observability and the model's coverage. A new
route is one new row, `reads` or `writes`; the tests name the row that is missing.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from atrium import keys
from atrium.ids import milliseconds_of, new_id, new_ids
from atrium.store.engine.wire import wire_key
from tests.support.client import RECORDS, World, every_page, flat_id, flat_path, in_camel_case, v1_id
from tests.support.credentials import in_days, make_room, of
from tests.support.routes import takes_a_cursor
from tests.support.webhooks import a_test, new_url, new_webhook, the_webhook
from tests.support.webhooks import make_room as make_webhook_room
from tools.event_schemas import ROOTS
from tools.routes import routes

# Method, path and body; a body of None is sent as JSON's null.
Request = tuple[str, str, Any]
# Makes the request, about a project of `a_project` whose v1 path is given.
Make = Callable[[World, str], Request]

# A service needs no address, so there may be many of it.
BOT = {"name": "Build server", "kind": "service"}
FLAT = {"projectName": "Apollo", "clientName": "Acme", "description": "To the moon"}


@dataclass(frozen=True)
class Row:
    """The request of a route, named by its logical id in template.yaml.

    A reading route has the round trips to the table that its request takes, the most calls that it makes at once, and
    no event. A writing one takes two round trips, or one more where its reads need two, and has the type of the event
    that its project publishes, or its principal.
    """

    route: str
    request: Make
    round_trips: int
    event: str | None
    at_once: int = 3


def reads(route: str, request: Make, *, round_trips: int = 1, at_once: int = 3) -> Row:
    return Row(route, request, round_trips, None, at_once)


def writes(route: str, event: str, request: Make, *, round_trips: int = 2) -> Row:
    return Row(route, request, round_trips, event)


def in_kind(method: str, kind: str, *, flat: bool = False) -> Make:
    """A request to the list of a kind of records."""
    fields = in_camel_case(RECORDS[kind]) if flat else RECORDS[kind]
    body = fields if method == "POST" else None
    return lambda w, p: (method, f"{flat_path(p) if flat else p}/{kind}", body)


def on_record(method: str, kind: str, body: Any = None, *, flat: bool = False) -> Make:
    """A request to a new record."""

    def request(world: World, project: str) -> Request:
        path = world.new_record(project, kind)
        return method, flat_path(path) if flat else path, body

    return request


def on_task(method: str, suffix: str, body: Any, *, assign: bool = False) -> Make:
    """A flat request to a new task; with `assign`, one that gives the task to the contributor."""

    def request(world: World, project: str) -> Request:
        path = flat_path(world.new_record(project, "tasks")) + suffix
        return method, path, {**body, "assignedTo": world.id("contributor")} if assign else body

    return request


def on_v1_note(world: World, project: str) -> Request:
    """A request that deletes a new note in v1."""
    task = world.new_record(project, "tasks")
    note = world.new_note(task).rpartition("/")[2]
    return "DELETE", f"{task}/notes/{v1_id(note)}", None


def on_credential(method: str, suffix: str = "", body: Any = None, *, holder: str = "viewer") -> Make:
    """A request to a new credential of a principal, made by the owner, who is an admin."""

    def request(world: World, _project: str) -> Request:
        make_room(world, holder)
        return method, world.new_credential(holder, rotated=suffix == "/rotate") + suffix, body

    return request


def on_credentials(world: World, _project: str) -> Request:
    """A request that makes one for the viewer."""
    make_room(world, "viewer")
    return "POST", of(world, "viewer"), {"kind": "token", "name": "Laptop", "enrol": True}


def on_event(world: World, _project: str) -> Request:
    """A request to the tenant's first event, which is of no project."""
    page = "/v1/events?type=tenant.created"
    while not (found := world("GET", page).body)["data"]:
        page = f"/v1/events?type=tenant.created&cursor={found['meta']['next_cursor']}"
    return "GET", f"/v1/events/{found['data'][0]['id']}", None


def on_webhook(method: str, suffix: str = "", body: Any = None) -> Make:
    """A request to a new webhook."""
    return lambda world, _project: (method, new_webhook(world)["path"] + suffix, body)


def on_webhooks(world: World, _project: str) -> Request:
    """A request that makes one, at a host that no other one has."""
    make_webhook_room(world)
    return "POST", "/v1/webhooks", {"url": new_url(), "events": ["task.*"]}


def on_paused_webhook(world: World, _project: str) -> Request:
    """A request that changes a webhook, which is active again, and has another host."""
    path = new_webhook(world)["path"]
    assert world("PATCH", path, {"status": "paused"}).status == 200
    return "PATCH", path, {"url": new_url(), "events": ["task.*"], "status": "active"}


def on_delivery(world: World, _project: str) -> Request:
    """A request to deliver the event of a test of a new webhook once more."""
    path, delivery = a_test(world)
    return "POST", f"{path}/deliveries/{delivery['event_id']}/redeliver", {}


def in_lab(method: str, suffix: str, make: Callable[[World], Any] = lambda w: None) -> Make:
    """A request to the world's lab, or below it, with the body that `make` makes. The lab is a space, of which the
    owner and the viewer are members, in these roles, and the outsider is none."""

    def request(world: World, project: str) -> Request:
        if world.lab is None or world("GET", world.lab).status == 404:
            made = world("POST", "/v1/spaces", {"name": "Lab"})
            assert made.status == 201, made
            world.lab = f"/v1/spaces/{made.body['id']}"
        restore_members(world, world.lab)
        named = {name: world.uuid(name) for name in ("viewer", "owner")}
        return method, world.lab + suffix.format(**named), make(world)

    return request


def restore_members(world: World, space: str) -> None:
    """Makes the viewer a member of a space in this role, and the outsider none."""
    outsider, viewer, role = world.uuid("outsider"), world.uuid("viewer"), world.role("viewer")
    members = {each["principal_id"]: each["role_id"] for each in every_page(world, f"{space}/members")}
    if outsider in members:
        assert world("DELETE", f"{space}/members/{outsider}").status == 204
    if viewer not in members:
        assert world("POST", f"{space}/members", {"principal_id": viewer, "role_id": role}).status == 201
    elif members[viewer] != role:
        assert world("PATCH", f"{space}/members/{viewer}", {"role_id": role}).status == 200


def another(world: World, path: str) -> str:
    """A name that the resource does not have."""
    return "Acme Labs" if world("GET", path).body["name"] != "Acme Labs" else "Acme Works"


def of_records(kind: str) -> Iterator[Row]:
    """The rows that each kind of records has."""
    records, record, type = kind.title(), kind.title()[:-1], kind[:-1]
    yield reads(f"List{records}", in_kind("GET", kind, flat=True))
    yield writes(f"Create{record}", f"{type}.created", in_kind("POST", kind, flat=True))
    yield writes(f"Delete{record}", f"{type}.deleted", on_record("DELETE", kind, flat=True))
    yield reads(f"V1List{records}", in_kind("GET", kind))
    yield reads(f"V1Get{record}", on_record("GET", kind))
    yield writes(f"V1Create{record}", f"{type}.created", in_kind("POST", kind))
    yield writes(f"V1Update{record}", f"{type}.updated", on_record("PATCH", kind, {"phase": "business"}))
    yield writes(f"V1Delete{record}", f"{type}.deleted", on_record("DELETE", kind))


TABLE = (
    reads("ListProjects", lambda w, p: ("GET", "/projects", None), round_trips=3),
    writes("CreateProject", "project.created", lambda w, p: ("POST", "/projects", FLAT)),
    reads("GetProject", lambda w, p: ("GET", flat_path(p), None)),
    writes("UpdateProject", "project.updated", lambda w, p: ("PUT", flat_path(p), FLAT)),
    writes("DeleteProject", "project.deleted", lambda w, p: ("DELETE", flat_path(p), None)),
    reads("GetReport", lambda w, p: ("GET", f"{flat_path(p)}/report", None)),
    # The members, then their names.
    reads("ListTeam", lambda w, p: ("GET", f"{flat_path(p)}/team", None), round_trips=2),
    reads("SearchTeam", lambda w, p: ("GET", f"{flat_path(p)}/team/search?q=outs", None)),
    reads("FindTeamMember", lambda w, p: ("POST", f"{flat_path(p)}/team/find", {"email": "viewer@acme.example"})),
    writes("AddTeamMember", "member.added", lambda w, p: ("POST", f"{flat_path(p)}/team", {"id": w.id("outsider")})),
    writes(
        "RemoveTeamMember", "member.removed", lambda w, p: ("DELETE", f"{flat_path(p)}/team/{w.id('viewer')}", None)
    ),
    # The task, then its notes, since it has some.
    reads(
        "GetTask",
        lambda w, p: ("GET", w.new_note(w.new_record(p, "tasks")).rpartition("/notes/")[0], None),
        round_trips=2,
    ),
    writes("UpdateTask", "task.updated", on_task("PUT", "", {"name": "B", "description": "C"}, assign=True)),
    writes("SetTaskStatus", "task.updated", on_task("POST", "/status", {"status": "inProgress"})),
    writes("SetTaskPhase", "task.updated", on_task("PATCH", "/phase", {"phase": "evaluation"})),
    writes("ToggleTaskCompleted", "task.updated", on_task("PATCH", "/completed", {})),
    writes("ReassignTask", "task.updated", on_task("PATCH", "/reassign", {}, assign=True)),
    reads("ListTaskNotes", lambda w, p: ("GET", f"{flat_path(w.new_record(p, 'tasks'))}/notes", None)),
    writes("AddTaskNote", "note.created", on_task("POST", "/notes", {"content": "Remember"})),
    writes("DeleteTaskNote", "note.deleted", lambda w, p: ("DELETE", w.new_note(w.new_record(p, "tasks")), None)),
    reads("V1ListTaskNotes", lambda w, p: ("GET", f"{w.new_record(p, 'tasks')}/notes", None)),
    writes(
        "V1AddTaskNote",
        "note.created",
        lambda w, p: ("POST", f"{w.new_record(p, 'tasks')}/notes", {"content": "Remember"}),
    ),
    writes("V1DeleteTaskNote", "note.deleted", on_v1_note),
    reads("V1GetMe", lambda w, p: ("GET", "/v1/me", None), round_trips=2),
    reads("V1ListEvents", lambda w, p: ("GET", "/v1/events", None), at_once=5),
    reads("V1GetEvent", on_event),
    reads("V1ListWebhooks", lambda w, p: ("GET", "/v1/webhooks", None)),
    writes("V1CreateWebhook", "webhook.created", on_webhooks),
    reads("V1GetWebhook", lambda w, p: ("GET", the_webhook(w)[0], None)),
    writes("V1UpdateWebhook", "webhook.updated", on_paused_webhook),
    writes("V1DeleteWebhook", "webhook.deleted", on_webhook("DELETE")),
    writes("V1RotateWebhook", "webhook.rotated", on_webhook("POST", "/rotate", {"overlap_seconds": 60})),
    writes("V1TestWebhook", "webhook.tested", on_webhook("POST", "/test", {})),
    reads("V1ListDeliveries", lambda w, p: ("GET", f"{the_webhook(w)[0]}/deliveries", None)),
    reads("V1GetDelivery", lambda w, p: ("GET", the_webhook(w)[1], None)),
    writes("V1RedeliverEvent", "webhook.redelivered", on_delivery),
    writes("V1RecoverEvents", "webhook.recovered", on_webhook("POST", "/recover", {"since": "2026-01-01"})),
    reads("V1GetRecovery", lambda w, p: ("GET", the_webhook(w)[2], None)),
    reads("V1ListRoles", lambda w, p: ("GET", "/v1/roles", None)),
    reads("V1GetTenant", lambda w, p: ("GET", "/v1/tenant", None)),
    writes(
        "V1UpdateTenant", "tenant.updated", lambda w, p: ("PATCH", "/v1/tenant", {"name": another(w, "/v1/tenant")})
    ),
    reads("V1ListSpaces", lambda w, p: ("GET", "/v1/spaces", None), round_trips=2),
    # Without an owner: one may have a role in a hundred spaces.
    writes("V1CreateSpace", "space.created", lambda w, p: ("POST", "/v1/spaces", {"name": "Lab", "owner_id": None})),
    reads("V1GetSpace", lambda w, p: ("GET", p.rpartition("/projects/")[0], None)),
    writes("V1UpdateSpace", "space.updated", in_lab("PATCH", "", lambda w: {"name": another(w, w.lab or "")})),
    writes("V1DeleteSpace", "space.deleted", lambda w, p: ("DELETE", w.new_space(), None)),
    reads("V1ListSpaceMembers", in_lab("GET", "/members")),
    reads("V1GetSpaceMember", in_lab("GET", "/members/{owner}")),
    writes(
        "V1AddSpaceMember",
        "space_member.added",
        in_lab("POST", "/members", lambda w: {"principal_id": w.uuid("outsider"), "role_id": w.role("viewer")}),
    ),
    writes(
        "V1UpdateSpaceMember",
        "space_member.role_changed",
        in_lab("PATCH", "/members/{viewer}", lambda w: {"role_id": w.role("contributor")}),
    ),
    writes("V1RemoveSpaceMember", "space_member.removed", in_lab("DELETE", "/members/{viewer}")),
    # Which principals, then what they are; and so of a principal's projects.
    reads("V1ListPrincipals", lambda w, p: ("GET", "/v1/principals", None), round_trips=2),
    writes("V1CreatePrincipal", "principal.created", lambda w, p: ("POST", "/v1/principals", BOT)),
    reads("V1GetPrincipal", lambda w, p: ("GET", f"/v1/principals/{w.uuid('viewer')}", None)),
    writes("V1UpdatePrincipal", "principal.updated", lambda w, p: ("PATCH", w.new_principal(), {"name": "Ada King"})),
    reads(
        "V1ListPrincipalProjects",
        lambda w, p: ("GET", f"/v1/principals/{w.uuid('viewer')}/projects", None),
        round_trips=2,
    ),
    writes("V1DeletePrincipal", "principal.deleted", lambda w, p: ("DELETE", w.new_principal(), None)),
    reads("V1ListProjects", lambda w, p: ("GET", w.projects(), None)),
    writes("V1CreateProject", "project.created", lambda w, p: ("POST", w.projects(), {"name": "Gemini"})),
    reads("V1GetProject", lambda w, p: ("GET", p, None)),
    writes(
        "V1UpdateProject",
        "project.updated",
        lambda w, p: ("PATCH", p, {"name": "Gemini", "manager_id": w.uuid("contributor")}),
    ),
    writes("V1DeleteProject", "project.deleted", lambda w, p: ("DELETE", p, None)),
    reads("V1ListMembers", lambda w, p: ("GET", f"{p}/members", None)),
    reads("V1GetMember", lambda w, p: ("GET", f"{p}/members/{w.uuid('viewer')}", None)),
    writes(
        "V1AddMember",
        "member.added",
        lambda w, p: ("POST", f"{p}/members", {"principal_id": w.uuid("outsider"), "role_id": w.role("viewer")}),
    ),
    writes(
        "V1UpdateMember",
        "member.role_changed",
        lambda w, p: ("PATCH", f"{p}/members/{w.uuid('viewer')}", {"role_id": w.role("manager")}),
    ),
    writes("V1RemoveMember", "member.removed", lambda w, p: ("DELETE", f"{p}/members/{w.uuid('viewer')}", None)),
    *(row for kind in RECORDS for row in of_records(kind)),
    # The credentials, then when they were last used.
    reads("V1ListCredentials", lambda w, p: ("GET", of(w, "owner"), None), round_trips=2),
    reads("V1GetCredential", on_credential("GET"), round_trips=2),
    writes("V1CreateCredential", "credential.created", on_credentials),
    # The credential, then its secrets.
    writes(
        "V1UpdateCredential",
        "credential.updated",
        on_credential("PATCH", body={"name": "B", "expires_at": in_days(5)}),
        round_trips=3,
    ),
    writes("V1DeleteCredential", "credential.revoked", on_credential("DELETE", "?issued=true"), round_trips=3),
    # One that was rotated before, so that the newest secret is replaced.
    writes(
        "V1RotateCredential", "credential.rotated", on_credential("POST", "/rotate", {}, holder="owner"), round_trips=3
    ),
)

# The same by route: its request, and of the writing ones the type of the event.
EVERY_ROUTE = {row.route: row.request for row in TABLE}
READS = {row.route: row.request for row in TABLE if row.event is None}
WRITES = {row.route: row.request for row in TABLE if row.event is not None}
ROUND_TRIPS = {row.route: row.round_trips for row in TABLE}
AT_ONCE = {row.route: row.at_once for row in TABLE}
EVENTS = {row.route: row.event for row in TABLE if row.event is not None}

# The writing routes whose event is of a project, and of a principal; and those whose answer has no secret, which is
# another one each time.
OF_PROJECTS = {route: request for route, request in WRITES.items() if EVENTS[route].split(".")[0] not in ROOTS}
OF_PRINCIPALS = [route for route, type in EVENTS.items() if "principal_id" in ROOTS.get(type.split(".")[0], ())]
WITHOUT_SECRETS = {route: request for route, request in WRITES.items() if not EVENTS[route].startswith("credential.")}

# Those that take a body, and the lists that come in pages: as the route files say.
TAKES_BODY = [route.name for route in routes() if route.name in EVERY_ROUTE and route.method not in ("GET", "DELETE")]
# Those that answer every caller with a valid credential.
FOR_EVERYONE = [route.name for route in routes() if route.name in EVERY_ROUTE and route.permission is None]
PAGED = [route.name for route in routes() if route.name in EVERY_ROUTE and takes_a_cursor(route)]


def a_project(world: World) -> str:
    """The v1 path of a new project of the owner's, with the members contributor and viewer in these roles."""
    return copied(world, {"contributor": "contributor", "viewer": "viewer"})


def copied(world: World, members: Mapping[str, str]) -> str:
    """The v1 path of a new project of the owner's, with members by their names and roles. The API makes the first of a
    process. The others are copies of its rows, since most tests of a route begin with one.
    """
    people = tuple((world.uuid(name), role) for name, role in members.items())
    if world.table is not None and people in _first:
        path, texts, event, told = _first[people]
        old, new = flat_id(path.rpartition("/")[2]), new_id()
        # An event of its own, of the same moment.
        (at,) = new_ids(1, milliseconds_of(event["sk"]["S"]))
        texts = [text.replace(old, new).replace(event["sk"]["S"], at) for text in texts]
        key = keys.event(event["pk"]["S"].split("#")[1], at)
        copy = json.loads(told.replace(old, new).replace(v1_id(old), v1_id(new)))
        world.table.write([*map(json.loads, texts), {**copy, **wire_key(key)}])
        path = path.replace(v1_id(old), v1_id(new))
        assert world("GET", path).status == 200
        return path
    path = world.new_project()
    for name, role in members.items():
        world.new_member(path, name, role)
    if world.table is not None:
        id, rows = flat_id(path.rpartition("/")[2]), world.table.items()
        own = [row for key, row in rows.items() if id in key.pk + key.sk]
        (meta,) = (row for row in own if "last_events" in row)
        event = rows[keys.event(meta["tenant"]["S"], meta["last_events"]["L"][-1]["S"])]
        _first[people] = path, [json.dumps(row) for row in own], event, json.dumps(event)
    return path


# By the ids and roles of the members: the path of the first project, its rows, and its last event, also as text.
_first: dict[tuple[tuple[str, str], ...], tuple[str, list[str], Any, str]] = {}
