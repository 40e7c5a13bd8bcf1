"""What requests cost in a tenant that has little, and in one that has much: the calls of the table and its units."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from atrium import keys
from atrium.ids import new_id, to_uuid
from atrium.keys import Key
from atrium.store.directory import found_by
from atrium.store.engine.table import Item
from atrium.store.engine.wire import plain_item, wire_key
from atrium.store.rows import to_principal
from tests.support.capacity import Meter
from tests.support.client import World, flat_id, flat_path
from tests.support.requests import BOT, FLAT, Request

BATCH = 25

Requests = dict[str, Request]

# Calls, and the units that they read and write.
Cost = tuple[int, int, int]


@dataclass(frozen=True)
class Place:
    """A project that is filled, or its space, past the API."""

    world: World
    client: Any
    table: str
    project: str

    @property
    def tenant(self) -> str:
        return flat_id(self.world.dev["tenants"]["acme"]["tenant_id"])

    @property
    def id(self) -> str:
        return flat_id(self.project.rpartition("/")[2])

    def row(self, key: Key) -> Item:
        return plain_item(self.client.get_item(TableName=self.table, Key=wire_key(key))["Item"])

    def copies(self, count: int, old: str, *models: Key) -> None:
        """Adds copies of the rows under the keys, each copy with another id in the place of `old`."""
        rows = [json.dumps(self.client.get_item(TableName=self.table, Key=wire_key(key))["Item"]) for key in models]

        def puts() -> Iterator[Any]:
            for _ in range(count):
                id = new_id()
                for row in rows:
                    item = json.loads(row.replace(old, id).replace(to_uuid(old), to_uuid(id)))
                    yield {"PutRequest": {"Item": item}}

        wanted = list(puts())
        batches = [wanted[position : position + BATCH] for position in range(0, len(wanted), BATCH)]
        with ThreadPoolExecutor(8) as threads:
            asked = [{self.table: batch} for batch in batches]
            for answer in threads.map(lambda items: self.client.batch_write_item(RequestItems=items), asked):
                assert not answer["UnprocessedItems"]


def a_place(of: str, world: World, client: Any, table: str) -> Place:
    """One of what there will be more of, but for tasks."""
    project = world.new_project()
    if of == "members":
        world.new_member(project, "viewer", "viewer")
    if of == WITH_TASKS:
        world.new_record(project, "tasks")
    if of == "principals":
        world.new_principal()
    return Place(world, client, table, project)


# ---------------------------------------------------------------- what there is more and more of


def more_projects(place: Place, count: int, *more: Key) -> None:
    world, tenant = place.world, place.tenant
    me = flat_id(world.uuid("owner"))
    space = flat_id(world.dev["tenants"]["acme"]["spaces"]["default"])
    place.copies(
        count,
        place.id,
        keys.project(tenant, place.id),
        keys.space_project(tenant, space, place.id),
        keys.member(tenant, place.id, me),
        keys.principal_project(tenant, me, place.id),
        *more,
    )


def more_projects_with_tasks(place: Place, count: int) -> None:
    task = place.world("GET", f"{place.project}/tasks").body["data"][0]["id"]
    more_projects(place, count, keys.record(place.tenant, place.id, "task", flat_id(task)))


def more_members(place: Place, count: int) -> None:
    viewer = flat_id(place.world.uuid("viewer"))
    place.copies(
        count,
        viewer,
        keys.member(place.tenant, place.id, viewer),
        keys.principal_project(place.tenant, viewer, place.id),
    )


def more_tasks(place: Place, count: int) -> None:
    task = flat_id(place.world.new_record(place.project, "tasks").rpartition("/")[2])
    place.copies(count - 1, task, keys.record(place.tenant, place.id, "task", task))


def more_principals(place: Place, count: int) -> None:
    """Namesakes, whose addresses have the same beginning, and their ids in them."""
    path = place.world.new_principal()
    id = flat_id(path.rpartition("/")[2])
    changed = place.world("PATCH", path, {"email": f"ada.{id}@acme.example"})
    assert changed.status == 200, changed
    person = to_principal(place.tenant, place.row(keys.principal(place.tenant, id)))
    place.copies(count - 1, id, keys.principal(place.tenant, id), *found_by(person))


# GET /projects shows the tasks of each.
WITH_TASKS = "projects with tasks"

MORE: dict[str, Callable[[Place, int], None]] = {
    "projects": more_projects,
    WITH_TASKS: more_projects_with_tasks,
    "members": more_members,
    "tasks": more_tasks,
    "principals": more_principals,
}


# ---------------------------------------------------------------- what is asked then


def of_projects(world: World, project: str, limit: int) -> Requests:
    return {
        "V1ListProjects": ("GET", f"{world.projects()}?limit={limit}", None),
        "ListProjects": ("GET", f"/projects?limit={limit}", None),
        "V1GetProject": ("GET", project, None),
        "GetProject": ("GET", flat_path(project), None),
        "V1CreateProject": ("POST", world.projects(), {"name": "Gemini"}),
        "CreateProject": ("POST", "/projects", FLAT),
    }


def of_projects_with_tasks(_world: World, _project: str, limit: int) -> Requests:
    return {"ListProjects": ("GET", f"/projects?limit={limit}", None)}


def of_members(world: World, project: str, limit: int) -> Requests:
    member = {"principal_id": world.uuid("outsider"), "role_id": world.role("viewer")}
    return {
        "V1ListMembers": ("GET", f"{project}/members?limit={limit}", None),
        "V1GetMember": ("GET", f"{project}/members/{world.uuid('viewer')}", None),
        "V1GetProject": ("GET", project, None),
        "V1AddMember": ("POST", f"{project}/members", member),
    }


def of_tasks(world: World, project: str, limit: int) -> Requests:
    new = {"name": "Clean the data", "description": "Drop duplicates", "phase": "modeling"}
    task = world("GET", f"{project}/tasks?limit=1").body["data"][0]["id"]
    return {
        "V1ListTasks": ("GET", f"{project}/tasks?limit={limit}", None),
        "ListTasks": ("GET", f"{flat_path(project)}/tasks?limit={limit}", None),
        "V1GetTask": ("GET", f"{project}/tasks/{task}", None),
        "GetTask": ("GET", f"{flat_path(project)}/tasks/{flat_id(task)}", None),
        "V1GetProject": ("GET", project, None),
        "V1CreateTask": ("POST", f"{project}/tasks", new),
        "CreateTask": ("POST", f"{flat_path(project)}/tasks", new),
    }


def of_principals(world: World, _project: str, limit: int) -> Requests:
    return {
        "V1ListPrincipals": ("GET", f"/v1/principals?limit={limit}", None),
        "V1ListPrincipals by a text": ("GET", f"/v1/principals?limit={limit}&q=ada", None),
        "V1ListPrincipals of a kind": ("GET", f"/v1/principals?limit={limit}&kind=user", None),
        "V1GetPrincipal": ("GET", f"/v1/principals/{world.uuid('viewer')}", None),
        "V1CreatePrincipal": ("POST", "/v1/principals", BOT),
        "V1UpdatePrincipal": ("PATCH", f"/v1/principals/{world.uuid('viewer')}", {"status": "active"}),
    }


ASKED: dict[str, Callable[[World, str, int], Requests]] = {
    "projects": of_projects,
    WITH_TASKS: of_projects_with_tasks,
    "members": of_members,
    "tasks": of_tasks,
    "principals": of_principals,
}


def costs(place: Place, meter: Meter, of: str, limit: int) -> dict[str, Cost]:
    """Of each request, by its function."""
    world = place.world
    found = {}
    for function, (method, path, body) in ASKED[of](world, place.project, limit).items():
        meter.clear()
        answer = world(method, path, body)
        assert answer.status in (200, 201), (function, answer)
        found[function] = meter.of(function.partition(" ")[0])
        if function == "V1AddMember":
            assert world("DELETE", f"{path}/{answer.body['principal_id']}").status == 204
    return found
