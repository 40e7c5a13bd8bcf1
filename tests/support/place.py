"""A table with some of everything in it, for the check of the table."""

from dataclasses import dataclass
from typing import Any

from atrium import keys
from atrium.keys import Key
from tests.support import credentials
from tests.support.client import RECORDS, World, flat_id, flat_path, new_key
from tests.support.rows import Rows
from tests.support.webhooks import new_webhook

# An id of nothing.
GHOST = "f" * 24
TASK = RECORDS["tasks"]


@dataclass
class Place:
    """A table with some of everything in it. Ids in Atrium's own spelling; `path` is the project's in v1."""

    world: World
    rows: Rows
    path: str
    project: str
    task: str
    note: str
    deleted: str
    deleted_task: str
    # Of the tenant globex.
    deleted_space: str
    deleted_person: str
    # With a delivery that is due, and one that waits; and one of the tenant globex.
    webhook: str
    deleted_webhook: str

    @property
    def tenant(self) -> str:
        return flat_id(self.world.dev["tenants"]["acme"]["tenant_id"])

    @property
    def globex(self) -> str:
        return flat_id(self.world.dev["tenants"]["globex"]["tenant_id"])

    def person(self, name: str) -> Key:
        return keys.principal(self.tenant, self.world.id(name))

    def member(self, name: str) -> Key:
        return keys.member(self.tenant, self.project, self.world.id(name))

    def joined(self, name: str) -> Key:
        return keys.principal_project(self.tenant, self.world.id(name), self.project)

    def in_space(self, name: str) -> Key:
        return keys.space_member(self.tenant, self.tenant, self.world.id(name))

    def email(self, address: str) -> Key:
        return keys.email(self.tenant, address)

    def named(self, words: str, name: str) -> Key:
        return keys.name(self.tenant, words, self.world.id(name))

    def record(self, kind: str) -> Key:
        prefix = keys.record(self.tenant, self.project, kind, "").sk
        return next(Key(row["pk"], row["sk"]) for row in self.rows.all() if row["sk"].startswith(prefix))

    @property
    def meta(self) -> Key:
        return keys.project(self.tenant, self.project)

    @property
    def event(self) -> Key:
        """The row of the last event of the project."""
        meta = self.rows.get(self.meta)
        assert meta is not None
        return keys.event(self.tenant, meta["last_events"][-1])

    @property
    def listed(self) -> Key:
        return keys.space_project(self.tenant, self.tenant, self.project)

    @property
    def endpoint(self) -> Key:
        return keys.endpoint(self.tenant, self.webhook)

    @property
    def endpoint_state(self) -> Key:
        return keys.endpoint_state(self.tenant, self.webhook)

    def any(self, prefix: str) -> Key:
        return next(Key(row["pk"], row["sk"]) for row in self.rows.all() if row["pk"].startswith(prefix))


def last(path: str) -> str:
    id = path.rpartition("/")[2]
    return id if len(id) == 24 else flat_id(id)


def furnish(world: World, rows: Rows) -> Place:
    """Projects, members of every role, records, notes, an archived and a deleted project, a deleted task, replays; in
    another tenant, a deleted space, a deleted principal and a deleted webhook. A webhook with all that it can have."""
    path = world.new_project(key=new_key())
    world.new_member(path, "contributor", "contributor")
    world.new_member(path, "outsider", "viewer")
    world("PATCH", path, {"description": {"summary": "To the moon"}}, key=new_key())
    made = {kind: world("POST", f"{path}/{kind}", body, key=new_key()).body["id"] for kind, body in RECORDS.items()}
    task = flat_id(made["tasks"])
    notes = f"{flat_path(path)}/tasks/{task}/notes"
    note = world("POST", notes, {"content": "Remember"}, key=new_key()).body["_id"]
    archived = world.new_project("Gemini", space="research")
    assert world("POST", f"{archived}/tasks", TASK).status == 201
    assert world("PATCH", archived, {"status": "archived"}).status == 200
    handed = world.new_project("Mercury", by="contributor")
    world.new_member(handed, "viewer", "viewer")
    assert world("PATCH", handed, {"manager_id": world.uuid("viewer")}).status == 200
    world.new_project("Skylab", tenant="globex")
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    rows.change(keys.principal(tenant, world.id("outsider")), external_id="hr-7")
    rows.put(keys.external(tenant, "hr-7"), {"principal": world.id("outsider")})
    deleted = world.new_project("Soyuz")
    world.new_member(deleted, "viewer", "viewer")
    assert world("POST", f"{deleted}/tasks", TASK).status == 201
    assert world("DELETE", deleted, key=new_key()).status == 204
    other = world("POST", f"{path}/tasks", TASK).body["id"]
    gone = f"{flat_path(path)}/tasks/{flat_id(other)}"
    assert world("POST", f"{gone}/notes", {"content": "Forget"}).status == 201
    assert world("DELETE", gone).status == 200
    credentials.made(world, "viewer", enrol=True)
    space = world.projects("research", "globex").rpartition("/")[0]
    assert world("DELETE", space, tenant="globex", key=new_key()).status == 204
    person = f"/v1/principals/{world.uuid('outsider', 'globex')}"
    assert world("DELETE", person, tenant="globex", key=new_key()).status == 204
    away = last(deleted), flat_id(other), last(space), last(person)
    return Place(world, rows, path, last(path), task, note, *away, hooked(world, rows), unhooked(world))


def hooked(world: World, rows: Rows) -> str:
    """A webhook that is due, with a delivery that is due and waits, and a recovery."""
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    path = new_webhook(world)["path"]
    for status in ("paused", "active"):
        assert world("PATCH", path, {"status": status}).status == 200
    event = world("POST", f"{path}/test", {}).body["event_id"]
    assert world("POST", f"{path}/deliveries/{event}/redeliver", {}).status == 202
    rows.put(keys.open_delivery(tenant, last(path), last(event)), {})
    assert world("POST", f"{path}/recover", {"since": "2026-01-01"}).status == 202
    return last(path)


def unhooked(world: World) -> str:
    """A deleted webhook of another tenant, with a delivery."""
    body = {"url": "https://hooks.example.com/", "events": ["*"]}
    path = f"/v1/webhooks/{world('POST', '/v1/webhooks', body, tenant='globex').body['id']}"
    assert world("POST", f"{path}/test", {}, tenant="globex").status == 202
    assert world("DELETE", path, tenant="globex", key=new_key()).status == 204
    return last(path)


def picture(world: World, path: str) -> list[tuple[int, Any]]:
    """What the API answers, all around the project."""
    flat, v1 = flat_path(path), world.projects()
    paths = ["/projects", "/v1/me", v1, world.projects("research"), path, f"{path}/members", flat]
    seen = [world("GET", target, by=name).seen for target in paths for name in ("owner", "viewer", "outsider")]
    found = ["owner@", "out", "of acme", "contributor of", "acme"]
    return seen + [world("GET", f"{flat}/team/search?q={text}").seen for text in found]
