"""An id of another tenant is answered like an unknown one: the same bytes, headers and calls to the table, on every
route with an id and in every place. The caller is of acme, the ids are of globex.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import pytest

from atrium import keys
from atrium.api.paging import cursor_behind
from atrium.ids import new_id
from atrium.store.engine.table import Item, table
from local.functions import FunctionFailed, call
from local.template import Template
from tests.support.client import RECORDS, World, flat_id, flat_path, new_key, v1_id
from tests.support.requests import EVERY_ROUTE, PAGED, WRITES, a_project
from tests.support.routes import routes
from tests.support.rows import rows_here
from tests.support.trace import Trace
from tests.support.world import Count, full, inline
from tools import routes as declared

# How many ids of another tenant are tried in each place.
IDS = full(2, 100)

# The flat dialect's names of a project's and a member's id in paths.
KINDS = {"id": "project_id", "user_id": "member_id", "principal_id": "member_id", "deliverie_id": "event_id"}

Ids = dict[str, list[str]]


@dataclass
class Border:
    """A project of acme's, and v1 ids of globex's things by the name of their place in a path."""

    world: World
    trace: Trace
    project: str
    foreign: Ids

    def seen(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Everything a caller can observe of an answer, with its calls to the table for the duration."""
        self.trace.clear()
        answer = self.world(method, path, body, **options)
        headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
        # The authorizer's calls come before any id is looked at, and half a minute's are saved.
        calls = [(made.operation, made.size) for made in self.trace.calls if made.function != "Authorizer"]
        return *answer.timeless, headers, sorted(calls)


@pytest.fixture(scope="module")
def border(template: Template, engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Border]:
    trace = Trace()
    with inline(template, engine, tmp_path_factory.mktemp("border"), trace.invoke) as world:
        trace.watch(table()._client)
        border = Border(world, trace, a_project(world), globex(world, template))
        theirs = rows_of(world, "globex")
        yield border
        assert rows_of(world, "globex") == theirs


def rows_of(world: World, tenant: str) -> list[Item]:
    """All that a tenant has."""
    prefix = keys.tenant_prefix(flat_id(world.dev["tenants"][tenant]["tenant_id"]))
    rows = rows_here().all()
    return [row for row in rows if row["pk"].startswith(prefix)]


def globex(world: World, template: Template) -> Ids:
    """Makes IDS things of each kind there."""
    there = world.dev["tenants"]["globex"]
    ids: Ids = {name: [] for name in ("space_id", "project_id", "member_id", "note_id", "event_id", "credential_id")}
    numbers = iter(range(IDS))
    while some := list(islice(numbers, 10)):
        people = [{"name": f"Spy {number}", "email": f"spy{number}@globex.example"} for number in some]
        request: dict[str, Any] = {
            "request_token": f"more-{some[0]}",
            "tenant_id": there["tenant_id"],
            "spaces": [{"name": f"Space {number}"} for number in some],
            "principals": people,
        }
        made = call(template.functions["Provision"], request)
        ids["member_id"] += [person["principal_id"] for person in made["principals"]]
        ids["space_id"] += [space["space_id"] for space in made["spaces"] if space["name"] != "default"]

    def post(path: str, body: Any) -> Any:
        answer = world("POST", path, body, tenant="globex")
        assert answer.status == 201, answer
        return answer.body

    for member in ids["member_id"]:
        project = world.new_project("Secret", tenant="globex")
        ids["project_id"].append(project.rpartition("/")[2])
        post(f"{project}/members", {"principal_id": member, "role_id": world.role("viewer")})
        for kind, record in RECORDS.items():
            ids.setdefault(f"{kind[:-1]}_id", []).append(post(f"{project}/{kind}", record)["id"])
        note = post(f"{flat_path(project)}/tasks/{flat_id(ids['task_id'][-1])}/notes", {"content": "Secret"})
        ids["note_id"].append(v1_id(note["_id"]))
        new = {"kind": "token", "name": "Secret", "enrol": True}
        ids["credential_id"].append(post(f"/v1/principals/{member}/credentials", new)["id"])
    told = world("GET", f"/v1/events?limit={IDS}", tenant="globex").body["data"]
    ids["event_id"] += [event["id"] for event in told]
    hooks = []
    for number in range(min(IDS, 18)):
        new = {"url": f"https://spy{number}.example.com/", "events": ["*"]}
        hook = post("/v1/webhooks", new)["id"]
        job = world("POST", f"/v1/webhooks/{hook}/recover", {"since": "2026-01-01"}, tenant="globex")
        assert job.status == 202, job
        hooks.append((hook, job.body["id"]))
    # A tenant has no more of them.
    ids["webhook_id"], ids["job_id"] = ([each[place] for each in islice(cycle(hooks), IDS)] for place in (0, 1))
    return ids


def nobodys() -> str:
    return v1_id(new_id())


# ---------------------------------------------------------------- paths


def places(route: str, path: str) -> list[tuple[int, str]]:
    """The ids in a path, with their kind."""
    found = [(place, part.strip("{}")) for place, part in enumerate(route.split("/")) if part.startswith("{")]
    assert len(path.partition("?")[0].split("/")) == len(route.split("/"))
    return [(place, KINDS.get(name, name)) for place, name in found]


def with_ids(path: str, ids: dict[int, str]) -> str:
    """The path with v1 ids in those segments, in its own spelling."""
    whole, mark, query = path.partition("?")
    parts = whole.split("/")
    for place, id in ids.items():
        parts[place] = id if path.startswith("/v1/") else flat_id(id)
    return "/".join(parts) + mark + query


@pytest.mark.parametrize("name", list(EVERY_ROUTE))
def test_foreign_id_in_a_path_answers_as_an_unknown_one(
    border: Border, template: Template, name: str, count: Count
) -> None:
    """Tries each place alone, and all places at once: a whole path of another tenant."""
    route = routes(template)[name][1]
    method, path, body = EVERY_ROUTE[name](border.world, border.project)
    found = places(route, path)
    for chosen in [*([one] for one in found), *([found] if len(found) > 1 else [])]:
        none = border.seen(method, with_ids(path, {place: nobodys() for place, _ in chosen}), body)
        assert none[0] == 404, (path, chosen, none)
        for number in range(IDS):
            ids = {place: border.foreign[kind][number] for place, kind in chosen}
            assert border.seen(method, with_ids(path, ids), body) == none, (path, chosen)
            count(comparisons=1)


def test_every_path_with_an_id_is_tried(template: Template) -> None:
    """Every place of an id in a path has a known name."""
    kinds = {KINDS.get(name, name) for _, path in routes(template).values() for name in names_in(path)}
    known = {"space_id", "project_id", "member_id", "note_id", "event_id", "credential_id", "webhook_id", "job_id"}
    known |= {f"{kind[:-1]}_id" for kind in RECORDS}
    assert kinds <= known, (
        f"A path has {sorted(kinds - known)}. Make {IDS} of each in the tenant globex: add them to `globex` in "
        "tests/routes/test_foreign_ids.py and to the names here. If it is another name for an id that is there, add "
        "it to KINDS, as `user_id` for `member_id`."
    )
    assert kinds == known


def names_in(path: str) -> list[str]:
    return [part.strip("{}") for part in path.split("/") if part.startswith("{")]


# ---------------------------------------------------------------- bodies and queries


def in_bodies(world: World, project: str) -> dict[str, Callable[[str, int], tuple[str, str, Any]]]:
    """Requests that name a person: by id, e-mail address or the beginning of a name."""
    flat = flat_path(project)
    task = world.new_record(project, "tasks")
    flat_task = {"name": "B", "description": "C", "phase": "business"}
    role = {"role_id": world.role("viewer")}
    return {
        "a new member": lambda who, _: ("POST", f"{project}/members", {"principal_id": who, **role}),
        "an heir": lambda who, _: ("PATCH", project, {"manager_id": who}),
        "a new task's": lambda who, _: ("POST", f"{project}/tasks", RECORDS["tasks"] | {"assigned_to": who}),
        "a task's": lambda who, _: ("PATCH", task, {"assigned_to": who}),
        "a new flat task's": lambda who, _: ("POST", f"{flat}/tasks", flat_task | {"assignedTo": flat_id(who)}),
        "a flat task's": lambda who, _: ("PUT", flat_path(task), {"name": "B", "assignedTo": flat_id(who)}),
        "whom it goes to": lambda who, _: ("PATCH", f"{flat_path(task)}/reassign", {"assignedTo": flat_id(who)}),
        "a new one of the team": lambda who, _: ("POST", f"{flat}/team", {"id": flat_id(who)}),
        "an address": lambda _, number: ("POST", f"{flat}/team/find", {"email": f"spy{number}@globex.example"}),
        "a word": lambda _, number: ("GET", f"{flat}/team/search?q=spy%20{number}", None),
    }


def test_foreign_id_in_a_body_or_query_answers_as_an_unknown_one(border: Border) -> None:
    requests = in_bodies(border.world, border.project)
    for place, request in requests.items():
        none = border.seen(*request(nobodys(), 10**6))
        assert none[0] in {"a word": (200,), "an address": (404,)}.get(place, (400, 422)), (place, none)
        for number in range(IDS):
            assert border.seen(*request(border.foreign["member_id"][number], number)) == none, place


def test_foreign_id_in_an_event_answers_as_an_unknown_one(border: Border, template: Template) -> None:
    """An event that asks for a project, with a principal, space or tenant that do not belong together."""
    world = border.world
    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    foreign = {
        "principal_id": border.foreign["member_id"],
        "space_id": border.foreign["space_id"],
        "tenant_id": [world.dev["tenants"]["globex"]["tenant_id"]],
    }

    def asked(**ids: str) -> Any:
        event = {"id": new_key(), "tenant_id": tenant, "principal_id": world.uuid("owner"), "name": "Gemini", **ids}
        border.trace.clear()
        with pytest.raises(FunctionFailed) as failure:
            border.trace.invoke(template.functions["CreateProjectFromEvent"], event)
        return failure.value.error_type, failure.value.message, [made.operation for made in border.trace.calls]

    for name, ids in foreign.items():
        none = asked(**{name: nobodys()})
        assert none[0] == "Refused"
        for id in ids:
            assert asked(**{name: id}) == none, name


# ---------------------------------------------------------------- cursors


# The kind of id that is a position in each list: that of its items.
LISTS = {
    route.name: f"{route.path.rpartition('/')[2].removesuffix('s')}_id"
    for route in declared.routes()
    if route.name in PAGED
}


@pytest.mark.parametrize("name", LISTS)
def test_foreign_id_in_a_cursor_answers_as_an_unknown_one(border: Border, name: str) -> None:
    """The cursor is a position in the caller's own list, and shows no data of its origin."""
    method, path, _ = EVERY_ROUTE[name](border.world, border.project)
    for id in map(flat_id, border.foreign[KINDS.get(LISTS[name], LISTS[name])]):
        beside = f"{int(id, 16) + 1:024x}"
        cursor, next_to_it = (cursor_behind(each, f"{path}?") for each in (id, beside))
        shown = border.seen(method, f"{path}?cursor={cursor}")
        assert shown == border.seen(method, f"{path}?cursor={next_to_it}")
        assert shown[0] == 200
        text = shown[1].decode()
        assert not [each for ids in border.foreign.values() for each in ids if each in text or flat_id(each) in text]


def test_every_list_with_a_cursor_is_tried(border: Border) -> None:
    """A route without cursor ignores the parameter, or refuses it as unknown in v1."""
    taking = set()
    for name, request in EVERY_ROUTE.items():
        method, path, _ = request(border.world, border.project)
        if method != "GET":
            continue
        answer = border.world(method, f"{path}{'&' if '?' in path else '?'}cursor=x")
        if answer.status in (400, 422) and b"Unknown parameter" not in answer.content:
            taking.add(name)
    assert taking == set(LISTS)


# ---------------------------------------------------------------- idempotency keys


def test_key_used_by_another_tenant_or_principal_is_new(border: Border) -> None:
    """Repeats each original request after its success."""
    world = border.world
    for name, request in WRITES.items():
        method, path, body = request(world, a_project(world))
        key = new_key()
        done = world(method, path, body, key=key)
        assert (done.status < 300, done.replayed) == (True, False), name
        assert world(method, path, body, key=key).replayed
        others: Sequence[dict[str, str]] = [{"by": "outsider"}, {"tenant": "globex", "by": "viewer"}]
        for other in others:
            again = border.seen(method, path, body, key=key, **other)
            assert again == border.seen(method, path, body, key=new_key(), **other), (name, other)
            assert again[0] in (403, 404), (name, other, again)
            assert "idempotent-replayed" not in again[2]
