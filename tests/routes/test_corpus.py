"""The hostile corpus against every route: refused in the route's dialect, with nothing written and nothing given away,
or accepted and given back as it was sent.

A cell is an item of tests/support/corpus.py in one place of one route. `make test` sends every n-th cell, shifted from
place to place, so that each item and each place has its turn; `make prove` sends all. Each test prints its figures, and
what took longest.
"""

import gzip
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import boto3
import pytest

from atrium.api.paging import cursor_behind
from atrium.ids import new_id
from atrium.settings import settings
from atrium.store.engine.table import table
from tests.conftest import Count, full
from tests.routes.test_round_trips import EVERY_ROUTE, READS, WRITES, a_project
from tests.support import corpus
from tests.support.client import RECORDS, Answer, World, in_camel_case
from tests.support.corpus import MARK

T = TypeVar("T")

INTERNALS = re.compile(
    r"traceback|boto|dynamodb|amazonaws|arn:|pydantic|powertools|/functions|/layers|\.py\b|\bat 0x|"
    r"\b[a-z]+(error|exception)\b|#pk|[ktpu]#|consistent ?read|expressionattribute",
    re.IGNORECASE,
)
JSON = [("Content-Type", "application/json")]
AN_ID = re.compile(r"[0-9a-f]{24}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

READING = list(READS)
TAKES_BODY = [name for name in EVERY_ROUTE if not re.search("Get|List|Search|Delete|Remove", name)]
PAGED = [name for name in READS if "List" in name and name not in ("V1ListRoles", "ListTeam")]


@dataclass
class Target:
    """A request to a route that would succeed."""

    route: str
    method: str
    path: str
    body: dict[str, Any] | None

    @property
    def v1(self) -> bool:
        return self.path.startswith("/v1")

    @property
    def content(self) -> bytes:
        return b"" if self.body is None else json.dumps(self.body).encode()


@dataclass
class Attack:
    """Sends requests and keeps what is wrong with their answers. `writes` counts what the table was made to write."""

    world: World
    failures: list[str] = field(default_factory=list)
    times: list[tuple[float, str]] = field(default_factory=list)
    writes: int = 0
    _targets: dict[str, Target] = field(default_factory=dict)
    _shared: str = ""

    def target(self, route: str) -> Target:
        """The route's target. They share a project, but for those that remove it or somebody from it."""
        if route not in self._targets:
            self._shared = self._shared or a_project(self.world)
            own = re.search("DeleteProject|Remove", route)
            project = a_project(self.world) if own else self._shared
            made = READS[route][1] if route in READS else WRITES[route]
            method, path, body = made(self.world, project)
            if body is not None:
                body = body | more_fields(self.world, route)
            self._targets[route] = Target(route, method, path, body)
        return self._targets[route]

    def send(self, cell: str, target: Target, **changes: Any) -> Answer:
        """The answer to the target's request with changes: `path`, `content`, `headers` beside the usual ones, or
        `instead` of them. Judged but for whether it had to be refused."""
        path, content = changes.get("path", target.path), changes.get("content", target.content)
        usual = [("Authorization", f"Bearer {self.world.principal('owner')['token']}"), *(JSON if content else [])]
        headers = changes.get("instead", usual) + changes.get("headers", [])
        self.writes = 0
        began = time.perf_counter()
        answer = self.world.raw(target.method, path, headers, content)
        self.times.append((time.perf_counter() - began, cell))
        for problem in problems(answer, target, changes.get("gateway", False)):
            self.say(cell, answer, problem)
        if answer.status >= 400 and self.writes:
            self.say(cell, answer, "refused, but something was written")
        return answer

    def judge(self) -> None:
        """Says what was sent, and fails if an answer was wrong."""
        slowest = ", ".join(f"{seconds * 1000:.0f} ms {cell}" for seconds, cell in sorted(self.times)[-3:])
        print(f"slowest: {slowest}")
        assert self.failures[:20] == []

    def say(self, cell: str, answer: Answer, problem: str) -> None:
        self.failures.append(f"{cell}: {answer.status} {answer.content[:200]!r}: {problem}")

    def refused(self, cell: str, target: Target, *statuses: int, **changes: Any) -> None:
        answer = self.send(cell, target, **changes)
        if answer.status not in statuses:
            self.say(cell, answer, f"not {statuses}")

    def answered(self, cell: str, target: Target, **changes: Any) -> Answer:
        """Like `send`, for what may be accepted: that is compared with what a later request is shown, and undone."""
        answer = self.send(cell, target, **changes)
        if answer.status < 300 and target.route in WRITES:
            if answer.content:
                for problem in differences(self.world, target, answer, changes.get("content", target.content)):
                    self.say(cell, answer, problem)
            self.undo(target, answer)
        return answer

    def undo(self, target: Target, answer: Answer) -> None:
        """Takes back what was made; what was deleted is made anew when it is asked for."""
        if re.search("Create|Add", target.route):
            made = next(answer.body[name] for name in ("principal_id", "_id", "id") if name in answer.body)
            assert self.world("DELETE", f"{target.path}/{made}").status in (200, 204)
        elif "Remove" in target.route:
            member = {"principal_id": self.world.uuid("viewer"), "role_id": self.world.role("viewer")}
            again = member if target.v1 else {"id": self.world.id("viewer")}
            assert self.world("POST", target.path.rpartition("/")[0], again).status == 201
        elif target.method == "DELETE":
            del self._targets[target.route]


def more_fields(world: World, route: str) -> dict[str, Any]:
    """The fields that a route takes beside those it needs."""
    v1 = route.startswith("V1")
    task = {"estimated_hours": 2.5, "priority": "high", "deadline": "2026-03-31"}
    task["assigned_to"] = world.uuid("contributor") if v1 else world.id("contributor")
    checkbox = {"completed": False} if v1 else {}
    more: dict[str, dict[str, Any]] = {
        "CreateProject": {"description": {"summary": "x"}} if v1 else {},
        "UpdateProject": {"description": "x", "status": "active"} if v1 else {},
        "CreateTask": task | {"status": "pending"} | checkbox,
        "UpdateTask": task | (RECORDS["tasks"] | {"status": "pending"} | checkbox if v1 else {}),
        "CreateDataset": {"records": 5},
        "UpdateDataset": RECORDS["datasets"] | {"records": 5},
        "UpdateExperiment": RECORDS["experiments"],
        "CreateDecision": {"alternatives": "None"},
        "UpdateDecision": RECORDS["decisions"] | {"alternatives": "None"},
    }
    found = more.get(route.removeprefix("V1"), {})
    return found if v1 else in_camel_case(found)


# ---------------------------------------------------------------- judging an answer


def problems(answer: Answer, target: Target, gateway: bool) -> Iterator[str]:
    """What is wrong with an answer, whatever it answers; `gateway` where the gateway may answer by itself."""
    if answer.status >= 500:
        yield "a server's error"
    try:
        UUID(answer.headers.get("x-request-id", ""))
    except ValueError:
        yield "no X-Request-Id"
    kind = answer.headers.get("content-type")
    if kind != ("application/json" if answer.content else None):
        yield f"Content-Type {kind}"
    if answer.status >= 400:
        yield from problems_of_refusal(answer, target, gateway)
    elif any(MARK in value for name, value in answer.headers.items() if name != "link"):
        yield "a header gives input back"
    elif answer.content:
        json.loads(answer.content)


def problems_of_refusal(answer: Answer, target: Target, gateway: bool) -> Iterator[str]:
    shown = without_names(answer.content.decode()) + json.dumps(dict(answer.headers))
    if MARK in shown.lower():
        yield "gives input back"
    if found := INTERNALS.search(answer.content.decode().replace("Idempotency-Key", "")):
        yield f"shows {found[0]}"
    if settings().table_name in shown:
        yield "names the table"
    if len(answer.content) > 8_000:
        yield "a long refusal"
    if not (is_refusal(answer.body, answer.status, v1=target.v1) or (gateway and is_the_gateways(answer.body))):
        yield "another dialect, or none"


def without_names(shown: str) -> str:
    """A refusal's text without the plain names of unknown fields and parameters, which v1 does tell."""
    return re.sub(r'"loc":\["(body|query)","\w{1,64}"\]', "", shown)


def is_refusal(body: Any, status: int, *, v1: bool) -> bool:
    """Whether it is a refusal as the dialect writes it."""
    if not v1:
        return set(body) == {"error"} and isinstance(body["error"], str)
    if set(body) != {"detail"}:
        return False
    if status != 422:
        return isinstance(body["detail"], str)
    return bool(body["detail"]) and all(
        set(item) == {"loc", "msg", "type"}
        and item["loc"][0] in ("path", "query", "header", "body")
        and all(isinstance(part, str | int) for part in item["loc"])
        and isinstance(item["msg"], str)
        and re.fullmatch("[a-z_]+", item["type"])
        for item in body["detail"]
    )


def is_the_gateways(body: Any) -> bool:
    return set(body) == {"error", "detail"} and body["error"] == body["detail"] and isinstance(body["error"], str)


def differences(world: World, target: Target, answer: Answer, sent: bytes) -> Iterator[str]:
    """Where the resource in an answer differs from what was sent, and from what a later request is shown."""
    shown = the_resource(spelled(answer.content))
    if shown.keys() == {"message"}:
        return
    for name, value in spelled(sent).items():
        if name in (target.body or {}) and not is_shown_as(name, value, shown):
            yield f"{name} came back as something else"
    if not is_shown_later(world, target, the_resource(answer.body)):
        yield "not what a later request is shown"


def the_resource(body: Any) -> Any:
    task = body.get("task")
    return task if isinstance(task, dict) else body


def spelled(text: bytes) -> Any:
    """The value of a JSON text, its numbers as they are written."""
    return json.loads(text or b"{}", parse_int=lambda digits: ("number", digits), parse_float=lambda n: ("number", n))


def is_shown_as(name: str, value: Any, shown: Mapping[str, Any]) -> bool:
    found = shown.get("_id" if name == "id" else name)
    match name:
        case "name" | "projectName" | "clientName":
            return bool(found == value.strip())
        case "deadline" | "acquisition_date" | "acquisitionDate" if value is not None:
            return isinstance(found, str) and abs((moment(found) - moment(value)).total_seconds()) < 0.001
        case "assignedTo":
            return bool(found == (value or None))
        case _:
            return bool(found == value)


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def is_shown_later(world: World, target: Target, shown: Any) -> bool:
    id = next((shown[name] for name in ("principal_id", "_id", "id") if name in shown), "")
    if target.method == "POST" and (target.v1 or target.path == "/projects"):
        return bool(world("GET", f"{target.path}/{id}").body == shown)
    path = re.sub("/(status|phase|completed|reassign)$", "", target.path)
    later = world("GET", path).body
    return shown in later if isinstance(later, list) else bool(shown.items() <= later.items())


# ---------------------------------------------------------------- the cells


def cells(places: Iterable[T], items: Mapping[str, Any], step: int) -> Iterator[tuple[T, str]]:
    """Each place with each item; inside `make test` every n-th."""
    every = full(step, 1)
    seen_places, seen_items = set(), set()
    for offset, place in enumerate(places):
        for number, name in enumerate(items):
            if (number + offset) % every == 0:
                seen_places.add(offset)
                seen_items.add(name)
                yield place, name
    assert seen_places == set(range(offset + 1)), "each place has its turn"
    assert seen_items == set(items), "so has each item"


@contextmanager
def attack_on(world: World) -> Iterator[Attack]:
    """An attack that sees what the table is made to write."""
    attack = Attack(world)

    def note(http_response: Any, **_: Any) -> None:
        attack.writes += http_response.status_code == 200

    events = table()._client.meta.events
    operations = ("TransactWriteItems", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")
    for operation in operations:
        events.register(f"after-call.dynamodb.{operation}", note)
    yield attack
    for operation in operations:
        events.unregister(f"after-call.dynamodb.{operation}", note)


@pytest.fixture(scope="module")
def attacker(shared: World) -> Iterator[Attack]:
    """All tests' attack: its targets are made once."""
    with attack_on(shared) as made:
        yield made


@pytest.fixture
def attack(attacker: Attack, count: Count) -> Iterator[Attack]:
    attacker.failures, attacker.times = [], []
    for route in EVERY_ROUTE:
        attacker.target(route)
    yield attacker
    count(requests=len(attacker.times))


def rows() -> list[Any]:
    """Everything in the table."""
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=settings().table_name)
    return sorted((item for page in pages for item in page["Items"]), key=lambda row: (row["pk"]["S"], row["sk"]["S"]))


@contextmanager
def unchanged() -> Iterator[None]:
    before = rows()
    yield
    assert rows() == before, "what is refused writes nothing"


def invalid(target: Target) -> int:
    return 422 if target.v1 else 400


# ---------------------------------------------------------------- bodies


def test_no_route_takes_what_is_not_one_json_object(attack: Attack) -> None:
    with unchanged():
        for route, name in cells(TAKES_BODY, corpus.NO_BODIES, 5):
            target = attack.target(route)
            content = corpus.NO_BODIES[name](target.content)
            status = 413 if len(content) > corpus.MAX_BODY else invalid(target)
            attack.refused(f"{route}, {name}", target, status, content=content)
        attack.judge()


def test_no_route_takes_another_media_type(attack: Attack) -> None:
    with unchanged():
        for route, name in cells(TAKES_BODY, corpus.MEDIA_TYPES, 1):
            target = attack.target(route)
            token = ("Authorization", f"Bearer {attack.world.principal('owner')['token']}")
            headers = [token, ("Content-Type", corpus.MEDIA_TYPES[name])]
            attack.refused(f"{route}, {name}", target, 415, instead=headers)
        attack.judge()


def test_every_route_takes_json_in_utf_8_however_it_is_said(attack: Attack) -> None:
    ours = {name: [("Content-Type", kind)] for name, kind in corpus.OUR_MEDIA_TYPES.items()}
    ours |= {name: [*JSON, *coding] for name, coding in corpus.OUR_CODINGS.items()}
    for route, name in cells(TAKES_BODY, ours, 1):
        target = attack.target(route)
        token = ("Authorization", f"Bearer {attack.world.principal('owner')['token']}")
        answer = attack.answered(f"{route}, {name}", target, instead=[token, *ours[name]])
        if answer.status >= 300:
            attack.say(f"{route}, {name}", answer, "refused")
    attack.judge()


def test_no_route_takes_a_content_coding(attack: Attack) -> None:
    with unchanged():
        for route, name in cells(TAKES_BODY, corpus.CODINGS, 1):
            target = attack.target(route)
            cell, headers = f"{route}, {name}", corpus.CODINGS[name]
            for content in (target.content, gzip.compress(target.content, mtime=0)):
                attack.refused(cell, target, 415, content=content, headers=headers)
        told, gzipped = "Send the body as it is, without a Content-Encoding.", {"Content-Encoding": "gzip"}
        assert attack.world("POST", "/projects", {}, headers=gzipped).seen == (415, {"error": told})
        assert attack.world("POST", attack.world.projects(), {}, headers=gzipped).seen == (415, {"detail": told})
        attack.judge()


def test_an_odd_body_is_refused_or_taken_as_it_is(attack: Attack) -> None:
    for route, name in cells(TAKES_BODY, corpus.ODD_BODIES, 9):
        target = attack.target(route)
        attack.answered(f"{route}, {name}", target, content=corpus.ODD_BODIES[name](target.content))
    attack.judge()


def fields(attack: Attack) -> list[tuple[str, str]]:
    """Every field of every route."""
    return [(route, name) for route in TAKES_BODY for name in attack.target(route).body or {}]


def with_value(target: Target, name: str, value: str) -> bytes:
    """The target's body with JSON text as one field's value."""
    assert target.body is not None
    members = {key: json.dumps(old) for key, old in target.body.items()} | {name: value}
    return ("{" + ",".join(f'"{key}":{text}' for key, text in members.items()) + "}").encode()


def test_no_field_takes_what_would_not_come_back(attack: Attack) -> None:
    with unchanged():
        for (route, place), name in cells(fields(attack), corpus.NO_VALUES, 6):
            target = attack.target(route)
            content = with_value(target, place, corpus.NO_VALUES[name])
            attack.refused(f"{route}.{place}, {name}", target, invalid(target), content=content)
        attack.judge()


# Fields of text that may be blank.
MAY_BE_BLANK = {"alternatives", "assignedTo", "email"}


def test_no_field_that_must_not_be_blank_takes_what_is_not_seen(attack: Attack) -> None:
    texts = [
        (route, name)
        for route, name in fields(attack)
        if isinstance(attack.target(route).body[name], str)  # type: ignore[index]
        and name not in MAY_BE_BLANK
        and (route, name) != ("V1UpdateProject", "description")
    ]
    with unchanged():
        for (route, place), name in cells(texts, corpus.BLANKS, 4):
            target = attack.target(route)
            if place == "clientName" and route == "UpdateProject" and not json.loads(corpus.BLANKS[name]).strip():
                continue  # as it is: v1 made the project, without a client
            content = with_value(target, place, corpus.BLANKS[name])
            attack.refused(f"{route}.{place}, {name}", target, invalid(target), content=content)
        attack.judge()


def test_an_odd_value_of_a_field_is_refused_or_comes_back_as_it_is(attack: Attack) -> None:
    for (route, place), name in cells(fields(attack), corpus.ODD_VALUES, 32):
        target = attack.target(route)
        content = with_value(target, place, corpus.ODD_VALUES[name])
        attack.answered(f"{route}.{place}, {name}", target, content=content)
    attack.judge()


# ---------------------------------------------------------------- headers


def test_odd_headers_break_nothing(attack: Attack) -> None:
    for route, name in cells(EVERY_ROUTE, corpus.HEADERS, 32):
        target = attack.target(route)
        # Not all of the list, so that there is a link.
        path = target.path + ("?limit=1" if route in PAGED else "")
        answer = attack.answered(f"{route}, {name}", target, path=path, headers=corpus.HEADERS[name])
        if MARK in answer.headers.get("link", ""):
            attack.say(f"{route}, {name}", answer, "a header of the request is in a link")
    attack.judge()


def test_no_write_takes_a_bad_idempotency_key(attack: Attack) -> None:
    with unchanged():
        for route, name in cells(WRITES, corpus.NO_KEYS, 1):
            target = attack.target(route)
            attack.refused(f"{route}, {name}", target, invalid(target), headers=corpus.NO_KEYS[name])
        attack.judge()


def test_every_write_takes_any_visible_key_and_replays_it(attack: Attack) -> None:
    for route, name in cells(WRITES, corpus.KEYS, 12):
        target = attack.target(route)
        header = [("Idempotency-Key", corpus.KEYS[name].format(uuid4()))]
        first = attack.send(f"{route}, {name}", target, headers=header)
        second = attack.send(f"{route}, {name}, again", target, headers=header)
        if not (first.status < 300 and second.replayed and second.content == first.content):
            attack.say(f"{route}, {name}", second, "not replayed")
        attack.undo(target, first)
    attack.judge()


def test_no_route_takes_a_bad_credential(attack: Attack) -> None:
    secret = attack.world.principal("owner")["token"]
    with unchanged():
        for route, name in cells(EVERY_ROUTE, corpus.CREDENTIALS, 5):
            target = attack.target(route)
            headers = [*corpus.CREDENTIALS[name](secret), *JSON]
            attack.refused(f"{route}, {name}", target, 401, instead=headers, gateway=True)
        attack.judge()


# ---------------------------------------------------------------- paths and queries


def test_no_id_in_any_place_names_more_than_it_should(attack: Attack) -> None:
    places = [
        (route, place)
        for route in EVERY_ROUTE
        for place, segment in enumerate(attack.target(route).path.partition("?")[0].split("/"))
        if AN_ID.fullmatch(segment)
    ]
    with unchanged():
        for (route, place), name in cells(places, corpus.IDS, 12):
            target = attack.target(route)
            path, _, query = target.path.partition("?")
            segments = path.split("/")
            segments[place] = corpus.IDS[name](segments[place])
            statuses = (404, 422) if target.v1 else (404,)
            changed = "/".join(segments) + (query and f"?{query}")
            if changed.partition("?")[0].endswith("/"):
                continue  # the same as without the slash: the thing itself, or the list that it is in
            attack.refused(f"{route}[{place}], {name}", target, *statuses, path=changed, gateway=True)
        attack.judge()


def in_upper_case(path: str, body: Any) -> tuple[str, Any]:
    """The same request with every id of it in upper case."""
    path, _, query = path.partition("?")
    path = "/".join(part.upper() if AN_ID.fullmatch(part) else part for part in path.split("/"))
    body = body and {
        name: value.upper() if isinstance(value, str) and AN_ID.fullmatch(value) else value
        for name, value in body.items()
    }
    return path + (query and f"?{query}"), body


@pytest.mark.parametrize("route", EVERY_ROUTE)
def test_an_id_in_upper_case_is_the_same_id(attack: Attack, route: str) -> None:
    """Also to an Idempotency-Key; and the answer has it in lower case."""
    target, headers = attack.target(route), {"Idempotency-Key": str(uuid4())}
    path, body = in_upper_case(target.path, target.body)
    content = None if body is None else json.dumps(body).encode()
    shouted = attack.world(target.method, path, headers=headers, content=content)
    spoken = attack.world(target.method, target.path, headers=headers, content=content and target.content)
    assert shouted.status < 300, shouted
    assert shouted.seen == spoken.seen
    assert spoken.replayed == (route in WRITES)
    attack.undo(target, spoken)


def test_odd_queries_break_nothing(attack: Attack) -> None:
    with unchanged():
        for route, name in cells(READING, corpus.QUERIES, 8):
            target = attack.target(route)
            if target.method == "GET":
                path = target.path.partition("?")[0]
                answer = attack.send(f"{route}, {name}", target, path=f"{path}?{corpus.QUERIES[name]}")
                if answer.status == 200 and MARK.encode() in answer.content:
                    attack.say(f"{route}, {name}", answer, "gives the query back")
        attack.judge()


@pytest.mark.parametrize("route", EVERY_ROUTE)
def test_an_unknown_parameter_is_refused_by_v1_and_ignored_by_flat(attack: Attack, route: str) -> None:
    """Also by a route that writes: `?dry_run=true` must not be taken for what it says."""
    target = attack.target(route)
    known = sorted(known_parameters(target))
    path = f"{target.path}{'&' if '?' in target.path else '?'}stauts=archived&%3Cb%3E=1"
    content = target.content or None
    if not target.v1:
        answer = attack.world(target.method, path, content=content)
        assert answer.status < 300, answer
        attack.undo(target, answer)
        return
    with unchanged():
        answer = attack.world(target.method, path, content=content)
    names = f"Known: {', '.join(known)}" if known else "None is known here"
    told = {"msg": f"Unknown parameter. {names}", "type": "extra_forbidden"}
    assert answer.seen == (422, {"detail": [{"loc": ["query", name], **told} for name in ("?", "stauts")]})


def known_parameters(target: Target) -> set[str]:
    found = {"limit", "cursor"} if target.route in PAGED else set()
    if re.fullmatch("V1List(Tasks|Datasets|Experiments|Decisions)", target.route):
        found.add("phase")
    return found | ({"status"} if target.route == "V1ListProjects" else set())


def test_an_unknown_parameter_is_told_beside_what_else_is_wrong(attack: Attack) -> None:
    answer = attack.world("GET", f"{attack.world.projects()}?limit=0&stauts=archived")
    limit = {"loc": ["query", "limit"], "msg": "Must be a whole number from 1 to 100", "type": "limit"}
    told = "Unknown parameter. Known: cursor, limit, status"
    unknown = {"loc": ["query", "stauts"], "msg": told, "type": "extra_forbidden"}
    assert answer.seen == (422, {"detail": [limit, unknown]})


def first_cursor(attack: Attack) -> str:
    page = attack.world("GET", f"{attack.world.projects()}?limit=1").body
    cursor: str = page["meta"]["next_cursor"]
    return cursor


def test_no_list_takes_a_bad_cursor(attack: Attack) -> None:
    real = first_cursor(attack)
    with unchanged():
        for route, name in cells(PAGED, corpus.NO_CURSORS, 1):
            target = attack.target(route)
            path = f"{target.path}?cursor={corpus.NO_CURSORS[name](real)}"
            attack.refused(f"{route}, {name}", target, invalid(target), path=path)
        attack.judge()


@pytest.mark.parametrize("route", PAGED)
def test_a_made_up_cursor_tells_an_outsider_what_no_cursor_does(attack: Attack, route: str) -> None:
    target = attack.target(route)
    elsewhere = attack.world.new_project(space="research")
    attack.world.new_member(elsewhere, "outsider", "viewer")
    well_formed = cursor_behind(new_id(), f"{target.path}?")
    for by, tenant in (("outsider", "acme"), ("owner", "globex")):
        plain = attack.world("GET", target.path, by=by, tenant=tenant)
        # Everybody has a list of projects.
        assert plain.status == (200 if route == "ListProjects" else 403 if tenant == "acme" else 404)
        for cursor in ("x", "", well_formed, well_formed[:-1], "x&cursor=y"):
            answer = attack.world("GET", f"{target.path}?cursor={cursor}", by=by, tenant=tenant)
            if route != "ListProjects":
                assert (answer.status, answer.content) == (plain.status, plain.content), cursor
            elif cursor != well_formed:
                assert answer.status == 400
    assert attack.world("DELETE", elsewhere).status == 204


def test_a_well_formed_cursor_is_a_position_and_nothing_else(attack: Attack) -> None:
    """Also one of nobody, or from before everything: what is shown is of this list, behind it."""
    real = first_cursor(attack)
    for route, name in cells(PAGED, corpus.CURSORS, 1):
        target = attack.target(route)
        cursor = corpus.CURSORS[name](real, f"{target.path}?")
        answer = attack.send(f"{route}, {name}", target, path=f"{target.path}?cursor={cursor}")
        if answer.status != 200:
            continue
        whole = attack.world("GET", target.path + ("?limit=100" if target.v1 else "")).body
        found = answer.body["data"] if target.v1 else answer.body
        if not all(item in (whole["data"] if target.v1 else whole) for item in found):
            attack.say(f"{route}, {name}", answer, "shows what is not in the list")
    attack.judge()


def test_the_corpus_is_as_large_as_it_says(count: Count) -> None:
    items = [
        item for name, family in vars(corpus).items() if name.isupper() and isinstance(family, dict) for item in family
    ]
    count(items=len(items))
    assert len(items) >= 400
