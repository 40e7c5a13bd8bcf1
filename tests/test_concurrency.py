"""What many requests at once, or one that dies, may leave behind: on DynamoDB Local, the functions in processes."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Any, TypeVar

import pytest

from local.functions import FunctionFailed, start_worker
from local.functions import call as call_function
from local.gateway import Gateway
from local.template import TABLE_NAME, Function, Template
from tests.client import RECORDS, Answer, World, flat_id, flat_path, in_camel_case, new_key, through
from tests.conftest import Crowd, full
from tests.proxy import Proxy
from tests.test_round_trips import FLAT

T = TypeVar("T")


def at_once(*calls: Callable[[], T]) -> list[T]:
    """The results of calls that start at the same moment."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def rows_naming(crowd: Crowd, project: str) -> list[str]:
    """The kinds of rows that hold a project's id, sorted: from the table itself."""
    pages = crowd.client.get_paginator("scan").paginate(TableName=TABLE_NAME, ConsistentRead=True)
    kinds = []
    for item in (item for page in pages for item in page["Items"]):
        pk, sk = item["pk"]["S"], item["sk"]["S"]
        if project in pk or project in sk:
            kinds.append("PURGE" if pk.startswith("PURGE") else f"{pk.split('#')[2][0]} {sk.partition('#')[0]}")
    return sorted(kinds)


# ---------------------------------------------------------------- exactly once


@pytest.mark.parametrize("conflicts", [False, True], ids=["", "with conflicts"])
@pytest.mark.parametrize("dialect", ["flat", "v1"])
def test_one_key_sent_32_times_at_once_makes_one_project(crowd: Crowd, dialect: str, conflicts: bool) -> None:
    world = crowd.world
    crowd.proxy.conflicts, crowd.proxy.delay = conflicts, 0.01
    path, body = ("/projects", FLAT) if dialect == "flat" else (world.projects(), {"name": "Apollo"})
    for _ in range(full(2, 20)):
        before = len(world("GET", "/projects").body)
        key = new_key()
        answers = at_once(*[partial(world, "POST", path, body, key=key)] * 32)
        assert {answer.status for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        assert sum(answer.replayed for answer in answers) == 31
        assert len(world("GET", "/projects").body) == before + 1
    assert (crowd.proxy.conflicted > 0) == conflicts


def test_one_key_on_every_writing_route_commits_once(crowd: Crowd) -> None:
    """A change, a member added, a demotion, a removal, a delete: eight of each at once."""
    world = crowd.world
    crowd.proxy.conflicts = True
    project = world.new_project()
    member = f"{project}/members/{world.uuid('outsider')}"
    requests: Sequence[tuple[str, str, Any]] = [
        ("PATCH", project, {"name": "Gemini"}),
        ("PUT", flat_path(project), FLAT),
        ("POST", f"{project}/members", {"principal_id": world.uuid("outsider"), "role_id": world.role("manager")}),
        ("PATCH", member, {"role_id": world.role("viewer")}),
        ("DELETE", member, None),
        ("DELETE", project, None),
    ]
    for sequence, (method, path, body) in enumerate(requests, start=2):
        key = new_key()
        answers = at_once(*[partial(world, method, path, body, key=key)] * 8)
        assert len({(answer.status, answer.content) for answer in answers}) == 1, (method, path)
        assert answers[0].status < 300
        assert sum(answer.replayed for answer in answers) == 7
        if method != "DELETE" or path == member:
            assert world("GET", flat_path(project)).headers["etag"] == f'"{sequence}"'


class Killer:
    """Runs a function in a process of its own that is killed at a call to the table, before or after it takes
    effect.
    """

    def __init__(self, crowd: Crowd, name: str, at: int, when: str) -> None:
        self._crowd, self._name, self._at, self._when = crowd, name, at, when
        self._process: Any = None
        self._calls = count(1)
        self._call: int | None = None
        self.killed = False

    def __call__(self, function: Function, event: Mapping[str, Any]) -> Any:
        """As an Invoker; other functions run undisturbed."""
        if function.name != self._name:
            return self._crowd.invoke(function, event)
        # A proxy of its own, so that nobody else's calls are counted.
        proxy = Proxy(self._crowd.proxy.url)
        proxy.before, proxy.after = self._before, self._after
        with proxy.served():
            environment = self._crowd.environment | {"AWS_ENDPOINT_URL_DYNAMODB": proxy.url}
            methods = multiprocessing.get_context("forkserver")
            self._process = methods.Process(target=_run_alone, args=(environment, function, dict(event)))
            self._process.start()
            self._process.join(30)
        raise FunctionFailed("Runtime.ExitError", f"ended with {self._process.exitcode}")

    def _before(self, operation: str, request: dict[str, Any]) -> str | None:
        if next(self._calls) != self._at:
            return None
        if self._when == "before":
            self._kill()
            return "InternalServerError"
        self._call = threading.get_ident()
        return None

    def _after(self, operation: str, request: dict[str, Any]) -> None:
        if self._call == threading.get_ident():
            self._kill()

    def _kill(self) -> None:
        self._call = None
        self.killed = True
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()


def _run_alone(environment: dict[str, str], function: Function, event: dict[str, Any]) -> None:
    start_worker(environment)
    call_function(function, event)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("route", ["CreateProject", "V1CreateProject"])
def test_a_create_killed_at_a_call_and_sent_again_makes_one_project(
    crowd: Crowd, template: Template, route: str, at: int, when: str
) -> None:
    world = crowd.world
    killer = Killer(crowd, route, at, when)
    doomed = World(through(Gateway(template.api, template.functions, killer, template.stage)), world.dev)
    path, body = ("/projects", FLAT) if route == "CreateProject" else (world.projects(), {"name": "Apollo"})
    before = {item["_id"] for item in world("GET", "/projects").body}
    key = new_key()
    assert doomed("POST", path, body, key=key).status == 502
    assert killer.killed
    committed = (at, when) == (2, "after")
    assert len(world("GET", "/projects").body) == len(before) + committed
    answer = world("POST", path, body, key=key)
    assert (answer.status, answer.replayed) == (201, committed)
    (made,) = {item["_id"] for item in world("GET", "/projects").body} - before
    assert made == (answer.body["_id"] if "_id" in answer.body else flat_id(answer.body["id"]))
    assert rows_naming(crowd, made) == ["P MEMBER", "P META", "S PROJECT", "U PROJECT"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_task_killed_while_it_is_made_and_sent_again_is_made_and_linked_once(
    crowd: Crowd, template: Template, at: int, when: str
) -> None:
    world = crowd.world
    project = flat_path(world.new_project())
    killer = Killer(crowd, "CreateTask", at, when)
    doomed = World(through(Gateway(template.api, template.functions, killer, template.stage)), world.dev)
    body, key = in_camel_case(RECORDS["tasks"]), new_key()
    assert doomed("POST", f"{project}/tasks", body, key=key).status == 502
    assert killer.killed
    committed = (at, when) == (2, "after")
    assert len(world("GET", project).body["tasks"]) == committed
    made = world("POST", f"{project}/tasks", body, key=key)
    assert (made.status, made.replayed) == (201, committed)
    whole = world("GET", project)
    assert [task["_id"] for task in whole.body["tasks"]] == [made.body["_id"]]
    assert world("GET", f"{project}/tasks").body == [made.body]
    assert whole.headers["etag"] == '"2"'


@pytest.mark.parametrize("path", ["/projects", "/projects/{id}/tasks"])
def test_a_create_has_two_calls_to_be_killed_at(crowd: Crowd, path: str) -> None:
    body = in_camel_case(RECORDS["tasks"]) if path.endswith("tasks") else FLAT
    path = path.replace("/projects/{id}", flat_path(crowd.world.new_project()))
    crowd.proxy.calls.clear()
    crowd.world("POST", path, body, key=new_key())
    assert [call for call in crowd.proxy.calls if call not in ("GetItem", "UpdateItem")] == [
        "BatchGetItem",
        "TransactWriteItems",
    ]


# ---------------------------------------------------------------- nothing lost


def test_a_new_project_is_in_the_next_list_of_both_dialects(crowd: Crowd) -> None:
    world = partial(crowd.world, tenant="globex")
    projects = crowd.world.projects(tenant="globex")
    for number in range(full(40, 200)):
        path, body = ("/projects", FLAT) if number % 2 else (projects, {"name": "Apollo"})
        created = world("POST", path, body).body
        id = created["_id"] if "_id" in created else flat_id(created["id"])
        assert id in {item["_id"] for item in world("GET", "/projects").body}
        assert id in {flat_id(item["id"]) for item in every_page(world, projects)}


def every_page(world: Callable[..., Answer], path: str, limit: int = 100) -> Iterator[Any]:
    cursor = ""
    while True:
        page = world("GET", f"{path}?limit={limit}{cursor}").body
        yield from page["data"]
        if not page["meta"]["has_more"]:
            return
        cursor = f"&cursor={page['meta']['next_cursor']}"


def test_16_clients_with_if_match_lose_no_update(crowd: Crowd) -> None:
    world = crowd.world
    crowd.proxy.conflicts = True
    project = world.new_project()
    rounds = full(5, 20)

    def client(number: int) -> list[int]:
        statuses = []
        for turn in range(rounds):
            tag = world("GET", project).headers["etag"]
            body = {"name": f"{number} {turn}"}
            statuses.append(world("PATCH", project, body, headers={"If-Match": tag}).status)
        return statuses

    with ThreadPoolExecutor(16) as threads:
        statuses = [status for answers in threads.map(client, range(16)) for status in answers]
    assert set(statuses) <= {200, 412}
    version = int(world("GET", project).headers["etag"].strip('"'))
    assert statuses.count(200) == version - 1
    assert statuses.count(412) > 0, "the clients never met"


def test_16_clients_without_if_match_all_succeed(crowd: Crowd) -> None:
    world = crowd.world
    project = world.new_project()
    rounds = full(5, 20)

    def client(number: int) -> list[Answer]:
        return [world("PATCH", project, {"name": f"{number} {turn}"}) for turn in range(rounds)]

    with ThreadPoolExecutor(16) as threads:
        answers = [answer for made in threads.map(client, range(16)) for answer in made]
    assert {answer.status for answer in answers} == {200}
    assert sorted(int(answer.headers["etag"].strip('"')) for answer in answers) == list(range(2, 16 * rounds + 2))
    last = max(answers, key=lambda answer: int(answer.headers["etag"].strip('"')))
    assert world("GET", project).body == last.body


@pytest.mark.parametrize("rival", ["removal", "demotion"])
def test_a_hand_over_racing_with_the_heirs_leaving_keeps_one_manager(crowd: Crowd, rival: str) -> None:
    world = crowd.world
    outcomes = set()
    for number in range(full(15, 100)):
        crowd.proxy.conflicts = number % 2 == 0
        project = world.new_project()
        heir = world.new_member(project, "viewer", "manager")
        leave = ("DELETE", heir) if rival == "removal" else ("PATCH", heir, {"role_id": world.role("contributor")})
        hand_over, left = at_once(
            partial(world, "PATCH", project, {"manager_id": world.uuid("viewer")}), partial(world, *leave)
        )
        assert hand_over.status in (200, 422)
        assert left.status in (200, 204, 409)
        outcomes.add((hand_over.status, left.status))
        manager = world("GET", project).body["manager_id"]
        assert manager == world.uuid("viewer" if hand_over.status == 200 else "owner")
        member = world("GET", f"{project}/members/{manager}")
        assert (member.status, member.body["role_id"]) == (200, world.role("manager"))
    allowed = {(200, 409), (422, 204)} if rival == "removal" else {(200, 409), (200, 200)}
    assert outcomes <= allowed


def test_a_member_added_while_its_project_is_deleted_is_not_orphaned(crowd: Crowd) -> None:
    world = crowd.world
    for _ in range(full(10, 100)):
        project = world.new_project()
        body = {"principal_id": world.uuid("viewer"), "role_id": world.role("viewer")}
        deleted, added = at_once(partial(world, "DELETE", project), partial(world, "POST", f"{project}/members", body))
        assert deleted.status == 204
        assert added.status in (201, 404)
        assert world("GET", project).status == 404
        assert world("GET", f"{project}/members").status == 404
        once = 2 if added.status == 201 else 1
        assert rows_naming(crowd, flat_id(project.rpartition("/")[2])) == [
            *["P MEMBER"] * once,
            "P META",
            "PURGE",
            *["U PROJECT"] * once,
        ], "in no list, and nothing that the purge would not find"


# ---------------------------------------------------------------- a table that is not well


@pytest.mark.parametrize(
    "error", ["ProvisionedThroughputExceededException", "ThrottlingException", "InternalServerError"]
)
def test_failures_that_pass_are_not_seen(crowd: Crowd, error: str) -> None:
    """Every first attempt of a call fails."""
    counter = iter(range(10**6))
    crowd.proxy.before = lambda operation, request: error if next(counter) % 2 == 0 else None
    world = crowd.world
    key = new_key()
    created = world("POST", world.projects(), {"name": "Apollo"}, key=key)
    assert created.status == 201
    assert world("POST", world.projects(), {"name": "Apollo"}, key=key).content == created.content


def test_a_lost_acknowledgement_is_no_second_write_and_no_conflict(crowd: Crowd) -> None:
    """The engine commits, the answer never arrives; the same bytes go again under the same token."""
    world = crowd.world
    project = world.new_project()
    losses: list[str] = []

    def lose(operation: str, request: dict[str, Any]) -> None:
        if operation == "TransactWriteItems" and not losses:
            losses.append(request["ClientRequestToken"])
            raise ConnectionResetError

    crowd.proxy.after = lose
    answer = world("PATCH", project, {"name": "Gemini"}, headers={"If-Match": '"1"'})
    assert losses
    assert (answer.status, answer.headers["etag"]) == (200, '"2"')
    assert world("GET", project).headers["etag"] == '"2"'


def test_a_table_that_hangs_is_answered_within_ten_seconds_with_503(crowd: Crowd) -> None:
    world = crowd.world
    project = world.new_project()
    released = threading.Event()

    def hang(operation: str, request: dict[str, Any]) -> str | None:
        if operation != "GetItem":
            released.wait(20)
        return "InternalServerError"

    world("GET", "/v1/me")
    crowd.proxy.before = hang
    try:
        began = time.monotonic()
        answers = at_once(partial(world, "GET", project), partial(world, "PATCH", project, {"name": "B"}))
        assert time.monotonic() - began < 10
        for answer in answers:
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert answer.body == {
                "detail": "The service is busy. Send the same request again, with the same Idempotency-Key."
            }
    finally:
        released.set()
