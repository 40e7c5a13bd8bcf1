"""The API does what the model does, whatever is asked in whatever order, and whatever dies meanwhile.

A run is a sequence of requests that hypothesis makes up: every route, of callers with every right, good and bad, in
both dialects, with keys and If-Match, sent again later, with calls to the table that fail. The model
(tests/model/model.py) predicts each whole answer; after each change it is read again in the other dialect, and its
event is looked at. At the end of a run everything is read, purged, and the table is checked.

A run that fails is made as short as it gets, and printed, request by request.
"""

import copy
import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

import boto3
import pytest
from hypothesis import HealthCheck, Phase, currently_in_test_context, note, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture.engine import ConjectureRunner
from hypothesis.stateful import RULE_MARKER, RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from atrium import documents, ids, keys
from atrium.automation import streams
from atrium.store import records
from atrium.store.engine import work
from atrium.store.engine.table import table
from atrium.store.engine.wire import wire_item
from atrium.store.fsck.check import Check
from atrium.store.outbox import event_in
from atrium.store.purge import queued
from local.functions import call as invoke
from local.template import Template
from tests.model.model import (
    DIGEST,
    KINDS,
    NOT_BLANK,
    OPERATIONS,
    PHASES,
    STATUSES,
    Call,
    Expected,
    Model,
    Moment,
    Person,
    Project,
    is_v1,
    spelled,
)
from tests.support.client import HEX24, RECORDS, UUID, Answer, World, flat_id, v1_id
from tests.support.clock import NET
from tests.support.faults import FAULTS, Crash, FaultyClient, faulty
from tests.support.requests import EVERY_ROUTE
from tests.support.routes import routes
from tests.support.world import Count, full, the_template

T = TypeVar("T")

# ---------------------------------------------------------------- what is asked

CALLERS = (*["owner"] * 6, *["contributor"] * 3, "viewer", *["outsider"] * 2, "stranger")
MEMBERS = (*["contributor", "viewer", "outsider", "owner"] * 2, "nobody", "stranger")
NAMES = st.sampled_from(["Apollo", "Gemini", " Mercury ", "Vostok 1"])
TEXTS = st.sampled_from(["To the moon", "And back\nagain", '"ü" 🚀'])
DAYS = st.sampled_from(["2026-01-15", "2025-12-31"])
NONE: st.SearchStrategy[Any] = st.none()

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "name": NAMES,
    "client": NAMES,
    "phase": st.sampled_from(PHASES),
    "status": st.sampled_from(STATUSES),
    "completed": st.booleans(),
    "assigned_to": NONE | st.sampled_from(MEMBERS),
    "estimated_hours": NONE | st.sampled_from([8, 2.5]),
    "priority": NONE | st.sampled_from(["high", "low"]),
    "deadline": NONE | DAYS,
    "acquisition_date": DAYS,
    "records": st.integers(0, 1000),
    "principal": st.sampled_from(MEMBERS),
    "role": st.sampled_from(["contributor", "viewer", "manager"] * 2 + ["owner", "none"]),
    "manager": st.sampled_from(MEMBERS),
    "email": st.sampled_from(["viewer@acme.example", "Outsider@Acme.example", "owner@globex.example", ""]),
}
PROJECT = {"description": NONE | TEXTS | st.fixed_dictionaries({"summary": TEXTS, "more": st.just([1, {}])})}


def body(required: tuple[str, ...], others: tuple[str, ...] = (), **own: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies with the fields, one in six of them wrong: a field missing, blank, of no known value, or unknown."""
    known = {name: own.get(name, FIELDS.get(name, TEXTS)) for name in (*required, *others)}

    def spoilt(sent: dict[str, Any], mistake: str | None, place: int) -> dict[str, Any]:
        name = list(known)[place % len(known)]
        match mistake:
            case "missing":
                return {other: value for other, value in sent.items() if other != name}
            case "blank" if isinstance(sent.get(name), str) and name in (*NOT_BLANK, "phase"):
                return {**sent, name: " "}
            case "unknown":
                return {**sent, "colour": "red"}
        return sent

    good = st.fixed_dictionaries(
        {name: known[name] for name in required}, optional={name: known[name] for name in others}
    )
    mistakes = st.sampled_from([None] * 15 + ["missing", "blank", "unknown"])
    return st.builds(spoilt, good, mistakes, st.integers(0, 7))


def task_fields(route: str) -> tuple[str, ...]:
    """The optional fields of a task that a route takes: the flat dialect has routes of their own for some."""
    taken = {"V1": (), "": ("completed",), "Update": ("status", "completed")}
    left_out = taken["V1" if is_v1(route) else "Update" if route.startswith("Update") else ""]
    return tuple(name for name in KINDS["task"][1] if name not in left_out)


REQUIRED_OF = {kind: required for kind, (required, _) in KINDS.items()}
BODIES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "CreateProject": body(("name", "client", "description")),
    "UpdateProject": body(("name", "client", "description")),
    "V1CreateProject": body(("name",), ("description",), **PROJECT),
    "V1UpdateProject": body(
        (), ("name", "description", "status", "manager"), status=st.sampled_from(["active", "archived"]), **PROJECT
    ),
    "V1AddMember": body(("principal", "role")),
    "V1UpdateMember": body(("role",)),
    "AddTeamMember": body(("principal",)),
    "FindTeamMember": body(("email",)),
    "UpdateTask": body(("name", "description"), task_fields("UpdateTask")),
    "SetTaskStatus": body(("status",)),
    "SetTaskPhase": body(("phase",)),
    "ReassignTask": body(("assigned_to",)),
    "AddTaskNote": body(("content",)),
    "CreateTask": body(REQUIRED_OF["task"], task_fields("CreateTask")),
    "V1CreateTask": body(REQUIRED_OF["task"], task_fields("V1CreateTask")),
    "V1UpdateTask": body((), (*REQUIRED_OF["task"], *task_fields("V1UpdateTask"))),
}
for _kind in KINDS.keys() - {"task"}:
    _required, _others = KINDS[_kind]
    BODIES[f"Create{_kind.title()}"] = BODIES[f"V1Create{_kind.title()}"] = body(_required, tuple(_others))
    BODIES[f"V1Update{_kind.title()}"] = body((), (*_required, *_others))

LIMIT = {"limit": st.sampled_from([1, 2, 3])}
OF_A_PHASE = st.fixed_dictionaries({}, optional={**LIMIT, "phase": st.sampled_from(PHASES[:2])})
QUERIES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    **dict.fromkeys(("ListProjects", "V1ListMembers", "ListTaskNotes"), st.fixed_dictionaries({}, optional=LIMIT)),
    "ListTasks": st.fixed_dictionaries({}, optional=LIMIT),
    "V1ListProjects": st.fixed_dictionaries({}, optional={**LIMIT, "status": st.sampled_from(["active", "archived"])}),
    "SearchTeam": st.sampled_from(["ou", "of acme", "acme", "viewer@", "wer"]).map(lambda text: {"q": text}),
    **{f"V1List{kind.title()}s": OF_A_PHASE for kind in KINDS},
    **{f"List{kind.title()}s": OF_A_PHASE for kind in KINDS if kind != "task"},
}

# Whatever is sent may meet a failing call of the table: that of a read, or the commit.
FAULT = st.none() | st.tuples(st.sampled_from(FAULTS), st.sampled_from(["read", "commit"]))
IF_MATCH = st.sampled_from([*[None] * 5, "now", "now", "*", "old"])
SELDOM = st.sampled_from([*[None] * 15, "now", "*"])
# Mostly what each run starts with; the third is archived.
WHICH = st.sampled_from([0, 0, 0, 1, 1, 1, *range(2, 8)])
STRAY = st.sampled_from([None] * 20 + ["project", "space", "item", "nothing"])
NOTHING = "f" * 24

ROUTES = routes(the_template())


# ---------------------------------------------------------------- how it is asked


@dataclass
class Known:
    """Ids that were made, deleted ones too: of projects; of records by kind, and of notes, with those above them."""

    projects: list[str]
    records: dict[str, list[tuple[str, str]]]
    notes: list[tuple[str, str, str]]


class Speaker:
    """Sends calls of the model to the API, and holds the answers against the model's."""

    def __init__(self, world: World) -> None:
        self.world = world
        spaces = {
            f"{tenant}/{name}": flat_id(id)
            for tenant, known in world.dev["tenants"].items()
            for name, id in known["spaces"].items()
        }
        self.model = Model(people(world), spaces, world.dev["roles"])
        self.known = Known([], {kind: [] for kind in KINDS}, [])
        self.pages: list[Call] = []
        self.sent: list[Call] = []
        # What a key was answered with, and the cursor behind an id in a list of a path and filters.
        self.answers: dict[tuple[str, str, str], bytes] = {}
        self.cursors: dict[tuple[str, str], str] = {}
        self.ahead = timedelta()
        self.changed: Project | None = None
        self._client = boto3.client("dynamodb")

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def ask(self, call: Call, fault: tuple[str, str] | None = None) -> Answer:
        """Sends a call. When it dies on the way, sends it again: its effect is there once."""
        begun = self.now()
        answer, times = self._delivered(call, fault)
        fresh = id_in(answer)
        moment = Moment(begun, self.now())
        self.changed = None
        for _ in range(times):
            expected = self.model.answer(call, fresh, moment)
            if call.key and not expected.replayed:
                # The key had ended. Its new answer may be lost on the way, so that its first sight is a replay.
                self.answers.pop((call.by, call.route, call.key), None)
            self.changed = self.model.changed or self.changed
        self._compare(call, answer, expected)
        if self.changed:
            self._remember(call, fresh, self.changed.id)
            self._require_event(self.changed)
        if expected.more:
            self._turn(call, answer, expected.more)
        return answer

    def _delivered(self, call: Call, fault: tuple[str, str] | None) -> tuple[Answer, int]:
        """The answer, and how often the functions have done all of their work for it."""
        if fault is None:
            return self._send(call), 1
        with failing(fault) as client:
            try:
                return self._send(call), 1
            except Crash:
                client.revive()
                say(f"{' the '.join(fault)}, and again")
                return self._send(call), 2 if fault == ("crash after", "commit") else 1

    def _send(self, call: Call) -> Answer:
        method, path = self._target(call)
        query = dict(call.query) | ({"cursor": self.cursors[self._list(call), call.after]} if call.after else {})
        sent: Any = {} if call.body is None else {"body": self._spelled(call)}
        headers = {"If-Match": call.if_match} if call.if_match else {}
        by, tenant = ("owner", "globex") if call.by == "stranger" else (call.by, "acme")
        target = f"{path}?{urlencode(query)}" if query else path
        answer = self.world(method, target, by=by, tenant=tenant, key=call.key, headers=headers, **sent)
        about = " ".join(f"{name}={value}" for name, value in (("key", call.key), ("If-Match", call.if_match)) if value)
        say(f"{call.by}: {method} {target} {json.dumps(sent.get('body'))} {about} -> {answer.status}")
        return answer

    def _target(self, call: Call) -> tuple[str, str]:
        """The method and the path."""
        method, path = ROUTES[call.route]
        for name, value in self._address(call).items():
            path = path.replace(f"{{{name}}}", value)
        return method, path

    def _list(self, call: Call) -> str:
        """The path and the filters."""
        return f"{self._target(call)} {sorted(item for item in call.query.items() if item[0] != 'limit')}"

    def _address(self, call: Call) -> dict[str, str]:
        """The values in the path."""
        spell = v1_id if is_v1(call.route) else str
        item = self._id(call.item) if call.item in (*self.model.people, "nobody") else call.item
        names = ("member_id", "user_id", *(f"{kind}_id" for kind in KINDS))
        values = {"project_id": call.project, "id": call.project, "note_id": call.note, **dict.fromkeys(names, item)}
        values["space_id"] = self.model.spaces.get(call.space, NOTHING)
        return {name: spell(value) for name, value in values.items() if value}

    def _spelled(self, call: Call) -> dict[str, Any]:
        """A body as its dialect spells it."""
        v1 = is_v1(call.route)
        sent = {}
        for name, value in (call.body or {}).items():
            if name in ("principal", "manager", "assigned_to") and value:
                value = v1_id(self._id(value)) if v1 else self._id(value)
            if name == "role":
                value = self.model.roles.get(value, v1_id(NOTHING))
            sent[spelled(call.route, name)] = value
        return sent

    def _id(self, name: str) -> str:
        return self.model.people[name].id if name in self.model.people else NOTHING

    def _compare(self, call: Call, answer: Answer, expected: Expected) -> None:
        assert answer.status == expected.status, (call, answer, expected)
        if is_v1(call.route) and expected.more:
            # A cursor is opaque. It is held against the model when it is used.
            expected.body["meta"]["next_cursor"] = answer.body["meta"]["next_cursor"]
        difference = differences(expected.body, answer.body)
        assert not difference, (call, difference)
        if not expected.replayed:
            self._compare_etag(call, answer, expected)
        assert answer.replayed == expected.replayed, (call, answer)
        if call.key:
            place = (call.by, call.route, call.key)
            if expected.replayed and place in self.answers:
                assert answer.content == self.answers[place], call
            if self.model.settled or expected.replayed:
                self.answers[place] = answer.content
        links = answer.headers.get("link", "")
        assert ('rel="next"' in links) == (expected.more is not None and not is_v1(call.route)), (call, answer)

    def _compare_etag(self, call: Call, answer: Answer, expected: Expected) -> None:
        shown = answer.headers.get("etag")
        if expected.membership and (found := re.fullmatch(r'"v-([0-9a-f]{24})-(\d+)"', shown or "")):
            assert expected.membership.is_shown_as(found[1]), (call, expected, shown)
            shown = f'"{found[2]}"'
        if expected.etag == DIGEST:
            shown = re.sub(r"v-[0-9a-f]{32}", DIGEST, shown or "")
        assert shown == (expected.etag and f'"{expected.etag}"'), (call, expected)

    def _remember(self, call: Call, fresh: str, project: str) -> None:
        """What was made, and a key that was used."""
        if "CreateProject" in call.route:
            self.known.projects.append(fresh)
        for kind in KINDS:
            if f"Create{kind.title()}" in call.route:
                self.known.records[kind].append((project, fresh))
        if call.route == "AddTaskNote":
            self.known.notes.append((project, call.item, fresh))
        made = "Create" in call.route or call.route == "AddTaskNote"
        assert not made or self.ahead + datetime.now(UTC) - born(fresh) < timedelta(seconds=NET)

    def _require_event(self, changed: Any) -> None:
        """One event for each change, none without: as the stream will find it on the project."""
        key = keys.project(self.model.spaces[f"{changed.space.partition('/')[0]}/default"], changed.id)
        row = self._client.get_item(
            TableName=table().name, Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}}, ConsistentRead=True
        )["Item"]
        found = json.loads(documents.render(event_in({"dynamodb": {"NewImage": row}})))
        event = changed.event
        assert found["sequence"] == changed.sequence
        assert found["actor"] == {"principal_id": v1_id(self._id(event["by"])), "kind": "user"}
        wanted = {name: event[name] for name in ("type", "time", "resource")} | {"changed": event.get("changed")}
        shown = {name: found.get(name) for name in wanted}
        assert not differences(wanted, shown), differences(wanted, shown)

    def _turn(self, call: Call, answer: Answer, more: str) -> None:
        """Keeps the next page for later."""
        if is_v1(call.route):
            cursor = answer.body["meta"]["next_cursor"]
        else:
            url, _, rest = answer.headers["link"].partition(">")
            assert rest == '; rel="next"'
            query = parse_qs(urlsplit(url).query)
            (cursor,) = query.pop("cursor")
            assert query == {name: [str(value)] for name, value in call.query.items()}
        assert self.cursors.setdefault((self._list(call), more), cursor) == cursor
        self.pages.append(replace(call, after=more))


@contextmanager
def failing(fault: tuple[str, str] | None) -> Iterator[FaultyClient]:
    """Lets one call of the table fail: the first that commits, or the first that does not."""
    left = [fault] if fault else []

    def choose(_: int, operation: str, params: Mapping[str, Any]) -> str | None:
        # The authorizer's call comes and goes with its cache.
        if not left or (operation == "GetItem" and params["Key"]["pk"]["S"].startswith(keys.CREDENTIAL_PREFIX)):
            return None
        kind, place = left[0]
        if (place == "commit") != (operation == "TransactWriteItems"):
            return None
        left.clear()
        return kind

    with faulty(choose) as client:
        yield client


def say(text: str) -> None:
    """A line in the story of a run that fails."""
    if currently_in_test_context():
        note(f"  {text}")


def people(world: World) -> dict[str, Person]:
    """All principals. The owner of the other tenant is the stranger here."""
    found = {}
    for tenant, known in world.dev["tenants"].items():
        for name, principal in known["principals"].items():
            called = name if tenant == "acme" else "stranger" if name == "owner" else f"{name} of {tenant}"
            role = {} if name == "outsider" else {f"{tenant}/{space}": name for space in known["spaces"]}
            full_name = f"{name.title()} of {tenant.title()}"
            found[called] = Person(principal["id"], tenant, full_name, f"{name}@{tenant}.example", role)
    return found


def id_in(answer: Answer) -> str:
    """The id of what an answer shows, in its 24 digits."""
    shown = answer.body if isinstance(answer.body, dict) else {}
    id = shown.get("_id") or shown.get("id") or ""
    if UUID.fullmatch(id):
        return flat_id(id)
    assert not id or HEX24.fullmatch(id), id
    return str(id)


def born(id: str) -> datetime:
    """When an id was made: its first digits say so."""
    return datetime.fromtimestamp(int(id[:8], 16), UTC)


def differences(expected: Any, shown: Any, where: str = "") -> str:
    """Where an answer is another than the expected one, "" if it is not."""
    if isinstance(expected, Moment):
        return "" if expected.is_shown_as(shown) else f"{where}: {shown} is another moment than {vars(expected)}"
    if type(expected) is not type(shown):
        return f"{where}: {shown!r} for {expected!r}"
    if isinstance(expected, dict):
        if expected.keys() != shown.keys():
            return f"{where}: has {sorted(shown)} for {sorted(expected)}"
        return next(
            filter(None, (differences(expected[name], shown[name], f"{where}.{name}") for name in expected)), ""
        )
    if isinstance(expected, list):
        if len(expected) != len(shown):
            return f"{where}: {shown} for {expected}"
        pairs = enumerate(zip(expected, shown, strict=True))
        return next(filter(None, (differences(*pair, f"{where}[{place}]") for place, pair in pairs)), "")
    return "" if expected == shown else f"{where}: {shown!r} for {expected!r}"


# ---------------------------------------------------------------- the runs


@dataclass
class Tally:
    """What all runs did: steps, and for each route how often it was asked and how often it said yes."""

    runs: int = 0
    steps: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)


class Start:
    """What each run starts from: projects with members and one record of each kind, and the table's rows then."""

    def __init__(self, world: World, template: Template) -> None:
        self.template = template
        self.tally = Tally()
        self.speaker = Speaker(world)
        self._client = boto3.client("dynamodb")
        for space, roles in (
            ("acme/default", {"contributor": "contributor", "viewer": "viewer"}),
            ("acme/research", {"outsider": "manager"}),
            ("acme/default", {"outsider": "contributor"}),
        ):
            self.speaker.ask(Call("V1CreateProject", space=space, body={"name": "Apollo"}))
            project = self.speaker.known.projects[-1]
            for name, role in roles.items():
                member = {"principal": name, "role": role}
                self.speaker.ask(Call("V1AddMember", space=space, project=project, body=member))
            for kind in KINDS:
                fields = RECORDS[f"{kind}s"]
                self.speaker.ask(Call(f"V1Create{kind.title()}", space=space, project=project, body=fields))
            task = self.speaker.known.records["task"][-1][1]
            self.speaker.ask(Call("AddTaskNote", project=project, item=task, body={"content": "Remember"}))
        # The last one is archived.
        self.speaker.ask(Call("V1UpdateProject", space=space, project=project, body={"status": "archived"}))
        self._rows = self._all()

    def again(self) -> Speaker:
        """The speaker as it was then."""
        kept = (self.speaker.world, self.speaker._client)
        return copy.deepcopy(self.speaker, {id(one): one for one in kept})

    def restore(self) -> None:
        """The table as it was then."""
        now = self._all()
        requests: list[Any] = [
            {"DeleteRequest": {"Key": {name: row[name] for name in ("pk", "sk")}}}
            for at, row in now.items()
            if at not in self._rows
        ]
        requests += [{"PutRequest": {"Item": row}} for at, row in self._rows.items() if now.get(at) != row]
        for place in range(0, len(requests), 25):
            answer = self._client.batch_write_item(RequestItems={table().name: requests[place : place + 25]})
            assert not answer["UnprocessedItems"]

    def rows_naming(self, ids: Iterable[str]) -> list[str]:
        """The keys in the table that hold one of the ids."""
        return [" / ".join(at) for at in self._all() if any(id in part for id in ids for part in at)]

    def _all(self) -> dict[tuple[str, str], Any]:
        pages = self._client.get_paginator("scan").paginate(TableName=table().name, ConsistentRead=True)
        return {(row["pk"]["S"], row["sk"]["S"]): row for page in pages for row in page["Items"]}


class Run(RuleBasedStateMachine):
    """One run. A rule for each route is added below."""

    start: ClassVar[Start]

    def __init__(self) -> None:
        super().__init__()
        self.speaker = self.start.again()
        self.model, self.known = self.speaker.model, self.speaker.known
        self.start.tally.runs += 1
        # Hypothesis would switch most rules off in most runs. There are few runs here: each has all.
        choice: Any = self._rules_strategy
        choice.enabled_rules_strategy = st.just(SimpleNamespace(is_enabled=lambda name: True))
        self._clock = pytest.MonkeyPatch()
        # Not while a step is under way, and not after one that failed.
        self._is_whole = True

    # ------------------------------------------------------------ one request, for whichever route

    def request(self, route: str, drawn: Mapping[str, Any]) -> None:
        call = Call(route, by=drawn["by"], query=drawn.get("query", {}), body=drawn.get("body"))
        call = self._addressed(call, drawn)
        if drawn.get("if_match"):
            matched = {"now": f'"{self.model.version(call)}"', "old": f'"{self.model.version(call, before=1)}"'}
            call = replace(call, if_match=matched.get(drawn["if_match"], drawn["if_match"]))
        # Who may have to send again sends a key.
        if "key" in drawn and (drawn["key"] or drawn["fault"]):
            call = replace(call, key=self._key())
            self.speaker.sent.append(call)
        answer = self._step(call, drawn["fault"])
        if drawn.get("key") == "and again":
            self._step(call)
        self.start.tally.asked[route] += 1
        self.start.tally.done[route] += answer.status < 300

    def _addressed(self, call: Call, drawn: Mapping[str, Any]) -> Call:
        """The call with an address: mostly of something that was made, and may be deleted since."""
        path, which, stray = ROUTES[call.route][1], drawn["which"], drawn["stray"]
        project, item, note = pick(self.known.projects, which), "", ""
        for kind in KINDS:
            if f"{{{kind}_id}}" in path:
                project, item = pick(self.known.records[kind], which)
        if "{note_id}" in path:
            project, item, note = pick(self.known.notes, which)
        found = self.model.projects.get(project) or self.model.deleted.get(project)
        space = drawn.get("space") or (found.space if found else "acme/default")
        match stray:
            case "project":
                project = pick(self.known.projects, which + 1)
            case "nothing":
                project = NOTHING
            case "space" if "space" not in drawn:
                space = pick(sorted(self.model.spaces), which)
            case "item":
                item, note = NOTHING, NOTHING if note else ""
        if "{project_id}" not in path and "{id}" not in path:
            project = ""
        if not is_v1(call.route):
            space = ""
        return replace(call, space=space, project=project, item=drawn.get("member") or item, note=note)

    def _step(self, call: Call, fault: tuple[str, str] | None = None) -> Answer:
        self.start.tally.steps += 1
        self._is_whole = False
        answer = self.speaker.ask(call, fault)
        changed = self.speaker.changed
        if changed is not None:
            by = "owner" if changed.space.startswith("acme") else "stranger"
            self.speaker.ask(Call("GetProject", by=by, project=changed.id))
            self.speaker.ask(in_the_other_dialect(replace(call, by=by, project=changed.id, space=changed.space)))
        for project in self.model.projects.values():
            assert project.members[project.manager].role == "manager"
            assert project.version <= project.sequence
        self._is_whole = True
        return answer

    # ------------------------------------------------------------ what else happens

    @precondition(lambda self: self.speaker.sent)
    @rule(which=st.integers(0, 9), fault=FAULT)
    def the_same_is_sent_again(self, which: int, fault: tuple[str, str] | None) -> None:
        self._step(pick(self.speaker.sent, -1 - which), fault)

    @precondition(lambda self: self.speaker.sent)
    @rule(which=st.integers(0, 9), by=st.sampled_from([None, None, *CALLERS]))
    def another_is_sent_with_a_key(self, which: int, by: str | None) -> None:
        """Another request of the same caller, or the same one of somebody else."""
        call = pick(self.speaker.sent, -1 - which)
        if by is None and call.body and "name" in call.body:
            call = replace(call, body={**call.body, "name": "Another"})
        elif by is None:
            call = replace(call, project=NOTHING, body=call.body and {**call.body})
        self._step(replace(call, by=by or call.by))

    @precondition(lambda self: self._sent_by_the_outsider())
    @rule(which=st.integers(0, 9))
    def who_lost_the_project_sends_again(self, which: int) -> None:
        """The outsider has no role in a space: who is no member sees no project, and no answer about it either."""
        call = pick(self._sent_by_the_outsider(), -1 - which)
        project = self.model.projects[call.project]
        removed = Call("V1RemoveMember", space=project.space, project=project.id, item="outsider")
        self._step(removed)
        self._step(call)

    def _sent_by_the_outsider(self) -> list[Call]:
        return [call for call in self.speaker.sent if call.by == "outsider" and call.project in self.model.projects]

    @rule(which=WHICH, heir=st.integers(0, 9), fault=FAULT)
    def a_project_is_handed_over(self, which: int, heir: int, fault: tuple[str, str] | None) -> None:
        """To a member who is below a manager, if there is one: drawn at large, few heirs are."""
        project = self.model.projects.get(pick(self.known.projects, which))
        if project is None:
            return
        below = [name for name, member in project.members.items() if member.role != "manager"]
        body = {"manager": pick(sorted(below or project.members), heir)}
        call = Call("V1UpdateProject", space=project.space, project=project.id, body=body, key=self._key())
        self.speaker.sent.append(call)
        self._step(call, fault)

    def _key(self) -> str:
        return f"k{len(self.speaker.sent)}"

    @precondition(lambda self: self.speaker.pages)
    @rule(which=st.integers(0, 9))
    def a_page_is_turned(self, which: int) -> None:
        self._step(pick(self.speaker.pages, -1 - which))

    @rule(days=st.sampled_from([1, 8, 31]))
    def days_pass(self, days: int) -> None:
        self.start.tally.steps += 1
        self.speaker.ahead += timedelta(days=days)
        set_clock(self._clock, self.speaker.ahead)

    @rule(by=st.sampled_from(["stream", "sweep"]), fault=FAULT)
    def the_purge_runs(self, by: str, fault: tuple[str, str] | None) -> None:
        self.start.tally.steps += 1
        self._is_whole = False
        functions = self.start.template.functions

        def purge() -> None:
            if by == "sweep":
                invoke(functions["SweepDeleted"], {})
                return
            rows = [{"NewImage": wire_item(row), "SequenceNumber": str(n)} for n, row in enumerate(queued(table()))]
            answer = invoke(functions["PurgeDeleted"], {"Records": [{"dynamodb": row} for row in rows]})
            assert answer == {"batchItemFailures": []}

        say(f"the {by} purges: {fault}")
        with failing(fault) as client, pytest.MonkeyPatch.context() as patch:
            patch.setattr(streams, "SWEPT_AFTER", timedelta(days=-1000))
            try:
                purge()
            except Crash:
                client.revive()
                purge()
        self.model.deleted.clear()
        assert list(queued(table())) == []
        assert self.start.rows_naming(self._gone()) == []
        self._is_whole = True

    def _gone(self) -> set[str]:
        """The ids of what is deleted and leaves rows to be purged."""
        tasks = {id for project in self.model.projects.values() for id in project.records["task"]}
        made = {id for _, id in self.known.records["task"]}
        return {*self.known.projects} - self.model.projects.keys() | made - tasks

    # ------------------------------------------------------------ the end

    def teardown(self) -> None:
        try:
            if self._is_whole:
                self._everything_is_as_the_model_says()
                self.the_purge_runs("stream", None)
                summary = Check(table()).run()
                assert summary["clean"], summary
                assert not summary["unsettled"], summary
        finally:
            self._clock.undo()
            self.start.restore()

    def _everything_is_as_the_model_says(self) -> None:
        say("in the end")
        for by in ("owner", "outsider", "stranger"):
            self.speaker.ask(Call("ListProjects", by=by))
            for space in self.model.spaces:
                self.speaker.ask(Call("V1ListProjects", by=by, space=space))
        for project in list(self.model.projects.values()):
            by = "owner" if project.space.startswith("acme") else "stranger"
            asked = Call("GetReport", by=by, project=project.id)
            self.speaker.ask(asked)
            for route in ("V1GetProject", "V1ListMembers", *(f"V1List{kind.title()}s" for kind in KINDS)):
                self.speaker.ask(replace(asked, route=route, space=project.space))
            for task in project.records["task"]:
                self.speaker.ask(replace(asked, route="GetTask", item=task))


def arguments(route: str, method: str, path: str) -> dict[str, st.SearchStrategy[Any]]:
    """What a request of the route leaves open."""
    given: dict[str, st.SearchStrategy[Any]] = {
        "by": st.sampled_from(CALLERS),
        "which": WHICH,
        "stray": STRAY,
        "fault": FAULT,
    }
    if route in BODIES:
        given["body"] = BODIES[route]
    if route in QUERIES:
        given["query"] = QUERIES[route]
    if "{member_id}" in path or "{user_id}" in path:
        given["member"] = st.sampled_from(MEMBERS)
    if path == "/v1/spaces/{space_id}/projects":
        given["space"] = st.sampled_from(["acme/default", "acme/research", "globex/default", "nowhere"])
    if method != "GET":
        given["key"] = st.sampled_from([None, "one", "and again"])
        if route != "FindTeamMember":
            given["if_match"] = SELDOM if re.search("Create|Add", route) else IF_MATCH
    return given


def rule_of(route: str) -> Any:
    def step(self: Run, **drawn: Any) -> None:
        self.request(route, drawn)

    step.__name__ = route
    made: Any = rule
    return made(**arguments(route, *ROUTES[route]))(step)


for _route in OPERATIONS:
    setattr(Run, _route, rule_of(_route))


def pick(known: Sequence[T], which: int) -> T:
    """One of what is known. The first ones are those that each run starts with."""
    return known[which % len(known)]


def in_the_other_dialect(call: Call) -> Call:
    """What shows, in the dialect other than the one of a change, what it did."""
    v1 = is_v1(call.route)
    asked = Call("", by=call.by, project=call.project, space="" if v1 else call.space)
    for kind in KINDS:
        if f"{kind.title()}" in call.route and "Note" not in call.route:
            return replace(asked, route=f"{'' if v1 else 'V1'}List{kind.title()}s")
    if "manager" in (call.body or {}):
        return replace(asked, route="V1ListMembers", space=call.space)
    if "Member" in call.route:
        return replace(asked, route="ListTeam" if v1 else "V1ListMembers")
    if "Note" in call.route:
        return replace(asked, route="ListTaskNotes", item=call.item, space="")
    return replace(asked, route="ListProjects" if v1 else "V1ListProjects")


def set_clock(patch: pytest.MonkeyPatch, ahead: timedelta) -> None:
    """Lets the clock that the API reads be so far ahead of the real one."""
    seconds = ahead.total_seconds()
    moments = SimpleNamespace(now=lambda zone: datetime.now(zone) + ahead)
    clock = SimpleNamespace(time=lambda: time.time() + seconds, time_ns=lambda: time.time_ns() + int(seconds * 1e9))
    for module, name, value in (
        (work, "datetime", moments),
        (records, "datetime", moments),
        (work, "time", clock),
        (ids, "time", clock),
    ):
        patch.setattr(module, name, value)


def test_every_route_is_a_rule() -> None:
    rules = {name for name, made in vars(Run).items() if hasattr(made, RULE_MARKER)}
    missing = sorted(set(EVERY_ROUTE) - set(OPERATIONS))
    assert not missing, (
        f"The model does not know the routes {missing}. Add a row for each to OPERATIONS at the end of "
        'tests/model/model.py, with the method of Model that says what it answers, as in\n    "V1GetMember": '
        "Model.get_member,\nIts rule follows from that. If the route takes a body or a query, add what may be sent to "
        "BODIES or QUERIES in tests/model/test_model.py."
    )
    assert set(OPERATIONS) == set(EVERY_ROUTE) == rules & set(EVERY_ROUTE)


@pytest.mark.timeout(1800)
def test_the_api_does_what_the_model_does(
    shared: World, template: Template, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    # Nor are five of six runs to be variations of the sixth.
    monkeypatch.setattr(ConjectureRunner, "generate_mutations_from", lambda *_: None)
    Run.start = Start(shared, template)
    run_state_machine_as_test(
        Run,
        settings=settings(
            max_examples=full(20, 400),
            stateful_step_count=50,
            derandomize=not full(0, 1),
            database=None,
            print_blob=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    tally = Run.start.tally
    count(runs=tally.runs, steps=tally.steps)
    for route in sorted(OPERATIONS):
        print(f"{route}: asked {tally.asked[route]} times, done {tally.done[route]} times")
    if full(0, 1):
        assert [route for route in OPERATIONS if not tally.done[route]] == []
