"""What many requests at once, or one that dies, may leave behind: on DynamoDB Local, the functions in processes."""

import os
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from botocore.endpoint import EndpointCreator
from botocore.exceptions import ReadTimeoutError

from atrium.settings import LAST_CALL_AFTER
from atrium.store.engine.client import dynamodb
from local.gateway import Gateway
from local.template import Template, lambda_environment
from tests.support.client import (
    MISSING,
    RECORDS,
    Answer,
    World,
    every_item,
    every_page,
    flat_id,
    flat_path,
    in_camel_case,
    new_key,
    through,
    v1_id,
)
from tests.support.clock import HANGS, READ_TIMEOUT, impatient
from tests.support.faults import BUSY
from tests.support.killer import Killer
from tests.support.requests import EVERY_ROUTE, FLAT, WRITES, a_project
from tests.support.rows import rows_naming
from tests.support.world import KEY, PROCESSES, Count, Crowd, at_once, full, the_template

# ---------------------------------------------------------------- exactly once


@pytest.mark.timeout(1_200)
def test_one_key_sent_by_all_clients_at_once_makes_one_project_and_has_one_answer(crowd: Crowd, count: Count) -> None:
    world = crowd.world
    clients, keys = full(16, 64), full(20, 200)
    before = {item["_id"] for item in world("GET", "/projects").body}
    made, seen = [], Counter[tuple[int, bool]]()
    for number in range(keys):
        crowd.proxy.conflicts, crowd.proxy.delay = number % 4 > 1, 0.01
        path, body = ("/projects", FLAT) if number % 2 else (world.projects(), {"name": "Apollo"})
        answers = at_once(*[partial(world, "POST", path, body, key=new_key())] * clients)
        assert len({answer.content for answer in answers}) == 1
        made.append(answers[0].body["_id"] if number % 2 else flat_id(answers[0].body["id"]))
        seen.update((answer.status, answer.replayed) for answer in answers)
    assert seen == {(201, False): keys, (201, True): (clients - 1) * keys}
    assert crowd.proxy.conflicted > 0
    listed = [item["_id"] for item in every_item(world, "/projects?limit=100")]
    assert sorted(set(listed) - before) == sorted(made)
    assert len(set(made)) == keys
    count(requests=clients * keys, keys=keys, projects=len(made))


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
            assert world("GET", flat_path(project)).headers["etag"] == f'"f-{sequence}"'


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
    assert rows_naming(crowd, made) == ["P META", "P ROLE", "S PROJECT", "U PROJECT"]


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
    assert whole.headers["etag"] == '"f-2"'


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
    assert statuses.count(200) == world("GET", project).version - 1
    assert statuses.count(412) > 0, "the clients never met"


def test_16_clients_without_if_match_all_succeed(crowd: Crowd) -> None:
    world = crowd.world
    crowd.proxy.conflicts = True
    project = world.new_project()
    rounds = full(5, 20)

    def client(number: int) -> list[Answer]:
        return [world("PATCH", project, {"name": f"{number} {turn}"}) for turn in range(rounds)]

    with ThreadPoolExecutor(16) as threads:
        answers = [answer for made in threads.map(client, range(16)) for answer in made]
    assert {answer.status for answer in answers} == {200}
    assert sorted(answer.version for answer in answers) == list(range(2, 16 * rounds + 2))
    last = max(answers, key=lambda answer: answer.version)
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
            "P META",
            *["P ROLE"] * once,
            "PURGE",
            *["U PROJECT"] * once,
        ], "in no list, and nothing that the purge would not find"


# ---------------------------------------------------------------- a table that is not well


@pytest.mark.parametrize(
    "error",
    [
        *("ProvisionedThroughputExceededException", "ThrottlingException", "InternalServerError"),
        *("500", "502", "503", "504"),
    ],
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


class Unwell:
    """Hooks of a proxy that let three calls of ten fail: refused, dropped on the way there, or lost on the way back."""

    REFUSED = ("ProvisionedThroughputExceededException", "ThrottlingException", "InternalServerError", "503")

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self._lost: dict[int, str] = {}
        self.failed: Counter[str] = Counter()

    def before(self, operation: str, request: dict[str, Any]) -> str | None:
        if self._random.random() > 0.3:
            return None
        kind = self._random.choice((*self.REFUSED, "conflict", "dropped", "lost", "lost to a 502"))
        self.failed[kind] += 1
        if kind == "dropped":
            raise ConnectionResetError
        if kind.startswith("lost"):
            self._lost[threading.get_ident()] = kind
            return None
        if kind == "conflict":
            return "TransactionConflict" + ("" if operation.startswith("Transact") else "Exception")
        return kind

    def after(self, operation: str, request: dict[str, Any]) -> str | None:
        kind = self._lost.pop(threading.get_ident(), None)
        if kind == "lost":
            raise ConnectionResetError
        return "502" if kind else None


class Client:
    """Somebody at work on a project of their own, who knows what is in it by what was acknowledged."""

    def __init__(self, world: World, seed: str) -> None:
        self._world = world
        self._random = random.Random(seed)
        self.sent: Counter[str] = Counter()
        self.project = f"{world.projects()}/{self._write('POST', world.projects(), {'name': 'Apollo'}).body['id']}"
        self.sequence = 1
        # By id in the v1 spelling: name, checkbox, version.
        self.tasks: dict[str, tuple[str, bool, int]] = {}
        self.team: list[str] = []

    def work(self) -> None:
        """A few requests of one kind."""
        kinds = [self.create, self.create, self.rename, self.rename, self.toggle, self.delete]
        kinds += [self.join_or_leave, self.read, self.read, self.read_all]
        self._random.choice(kinds)()

    def create(self) -> None:
        flat, name = self._random.random() < 0.5, new_key()
        fields = RECORDS["tasks"] | {"name": name}
        path, body = (flat_path(self.project), in_camel_case(fields)) if flat else (self.project, fields)
        made = self._write("POST", f"{path}/tasks", body).body
        self.tasks[v1_id(made["_id"]) if flat else made["id"]] = (name, False, 1)
        self.sequence += 1

    def rename(self) -> None:
        if self.tasks:
            task, (_, done, version) = self._random.choice(list(self.tasks.items()))
            name = new_key()
            etag = self._write("PATCH", f"{self.project}/tasks/{task}", {"name": name}).headers["etag"]
            assert etag == f'"v-{version + 1}"'
            self.tasks[task] = (name, done, version + 1)
            self.sequence += 1

    def toggle(self) -> None:
        if self.tasks:
            task, (name, done, version) = self._random.choice(list(self.tasks.items()))
            answer = self._write("PATCH", f"{flat_path(self.project)}/tasks/{flat_id(task)}/completed", {})
            assert answer.body["completed"] is not done
            self.tasks[task] = (name, not done, version + 1)
            self.sequence += 1

    def delete(self) -> None:
        if self.tasks:
            task = self._random.choice(list(self.tasks))
            self._write("DELETE", f"{self.project}/tasks/{task}")
            del self.tasks[task]
            self.sequence += 1

    def join_or_leave(self) -> None:
        if self.team:
            self._write("DELETE", f"{flat_path(self.project)}/team/{self.team.pop()}")
        else:
            self._write("POST", f"{flat_path(self.project)}/team", {"id": self._world.id("viewer")})
            self.team.append(self._world.id("viewer"))
        self.sequence += 1

    def read(self) -> None:
        if self.tasks:
            task, (name, done, version) = self._random.choice(list(self.tasks.items()))
            answer = self._send("GET", f"{self.project}/tasks/{task}")
            assert (answer.body["name"], answer.body["completed"]) == (name, done)
            assert answer.headers["etag"] == f'"v-{version}"'

    def read_all(self) -> None:
        """What was acknowledged is there as it was sent, once, and nothing else; so is the count of changes."""
        whole = self._send("GET", flat_path(self.project))
        assert whole.headers["etag"] == f'"f-{self.sequence}"'
        assert [task["_id"] for task in whole.body["tasks"]] == sorted(map(flat_id, self.tasks))
        assert {task["name"] for task in whole.body["tasks"]} == {name for name, _, _ in self.tasks.values()}
        assert whole.body["team"] == self.team

    def _write(self, method: str, path: str, body: Any = None) -> Answer:
        key = new_key()
        first = self._send(method, path, body, key)
        if self._random.random() < 0.2:
            again = self._send(method, path, body, key)
            assert (again.status, again.content, again.replayed) == (first.status, first.content, True)
        return first

    def _send(self, method: str, path: str, body: Any = None, key: str | None = None) -> Answer:
        """What is answered at last; who is not is told to come again."""
        self.sent["requests"] += 1
        by = self._random.choice(("owner", "contributor")) if method == "GET" else "owner"
        for _ in range(20):
            answer = self._world(method, path, MISSING if body is None else body, key=key, by=by)
            if answer.status < 300:
                return answer
            assert (answer.status, answer.headers.get("retry-after")) == (503, "1"), answer
            self.sent["busy"] += 1
        raise AssertionError("busy for ever")


@pytest.mark.timeout(1_800)
def test_a_table_of_which_three_calls_in_ten_fail_gives_no_wrong_answer(crowd: Crowd, count: Count) -> None:
    seed = os.environ.get("FAULT_SEED") or new_key()
    print(f"FAULT_SEED={seed!r} gives each client the same work; what fails depends on which call comes first")
    enough = full(500, 10_000)
    unwell = Unwell(seed)
    crowd.proxy.before, crowd.proxy.after = unwell.before, unwell.after
    crowd.proxy.calls.clear()

    def client(number: int) -> Client:
        made = Client(crowd.world, f"{seed} {number}")
        while made.sent["requests"] < enough / PROCESSES:
            made.work()
        return made

    with ThreadPoolExecutor(PROCESSES) as threads:
        clients = list(threads.map(client, range(PROCESSES)))
    sent = sum((made.sent for made in clients), Counter[str]())
    count(**sent, calls=len(crowd.proxy.calls), failed_calls=sum(unwell.failed.values()))
    assert sent["requests"] >= enough
    assert sent["busy"] <= 0.05 * sent["requests"]
    assert 0.25 < unwell.failed.total() / len(crowd.proxy.calls) < 0.35
    crowd.proxy.before, crowd.proxy.after = (lambda *_: None), (lambda *_: None)
    for made in clients:
        made.read_all()


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
    answer = world("PATCH", project, {"name": "Gemini"}, headers={"If-Match": '"v-1"'})
    assert losses
    assert (answer.status, answer.headers["etag"]) == (200, '"v-2"')
    assert world("GET", project).headers["etag"] == '"v-2"'


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("hanging", ["every call", "the commit"])
def test_a_table_that_hangs_is_answered_with_503_in_time(crowd: Crowd, hanging: str, count: Count) -> None:
    """As many routes at once as there are processes; some of them, or all under `make prove`."""
    world = crowd.world
    routes = [name for name in (EVERY_ROUTE if hanging == "every call" else WRITES) if name != "V1ListRoles"]
    random.shuffle(routes)
    for position in range(0, full(PROCESSES, len(routes)), PROCESSES):
        wave = routes[position : position + PROCESSES]
        print(wave)
        requests = [partial(world, *EVERY_ROUTE[name](world, a_project(world))) for name in wave]
        for answer in while_hanging(crowd, requests, hanging):
            count(requests=1)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert set(answer.body.values()) == {BUSY}


def test_a_table_that_hangs_while_a_caller_is_recognised_is_answered_with_503(crowd: Crowd) -> None:
    """Nobody has come with these credentials yet."""
    world = crowd.world
    strangers = [partial(world, by=name, tenant="globex") for name in ("viewer", "outsider")]
    for answer in while_hanging(crowd, [partial(each, "GET", "/v1/roles") for each in strangers]):
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.body == {"error": BUSY, "detail": BUSY}


def test_the_tables_client_gives_up_a_call_that_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """In earnest: all other tests have what hangs on their clock."""
    monkeypatch.setattr(EndpointCreator, "create_endpoint", impatient)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for name, value in lambda_environment(the_template().functions["V1GetMe"], url, url, KEY).items():
            monkeypatch.setenv(name, value)
        client = dynamodb()
        with pytest.raises(ReadTimeoutError):
            client.list_tables()
    config = client.meta.config
    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == (1, READ_TIMEOUT, 1)
    assert LAST_CALL_AFTER + config.connect_timeout + config.read_timeout == 8.5


def while_hanging(crowd: Crowd, requests: Sequence[Callable[[], Answer]], hanging: str = "every call") -> list[Answer]:
    """The answers to requests that come at once while the table does not answer."""

    def hang(operation: str, request: dict[str, Any]) -> str | None:
        return HANGS if operation == "TransactWriteItems" or hanging == "every call" else None

    crowd.proxy.before = hang
    try:
        return at_once(*requests)
    finally:
        crowd.proxy.before = lambda operation, request: None
