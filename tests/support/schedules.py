"""Runs requests on one project in every order of their calls to the table, and with a crash at each of them.

Everything that a request does, it does by calls to the table. So two requests that run at the same time are an order
of their calls, and there are few: a write is one round trip that reads and one transaction, and more only where it lost
a race. An `Explorer` has one process for each request of a case (an actor), since Powertools keeps the request that is
being answered in class attributes. An actor hands each call to the scheduler, which is in the test's process, and waits
until it is its turn; only then the call is made, on DynamoDB Local. Exactly one actor runs at any time, so a run is
decided by its schedule alone.

A schedule is a text: each character is one step. `0`, `1` and `2` let the call of that request through. `a`, `b` and
`c` let the process of request 0, 1 or 2 end before its call takes effect, `A`, `B` and `C` after a transaction of it
has; the client then sends the same request, with the same Idempotency-Key, again. `x`, `y`, `z` and `X`, `Y`, `Z` are
the same with a client that never comes back. Where a schedule ends, the lowest request goes on. A process that ends is
an exception that nothing catches; real processes are killed in test_concurrency.py.

What is a step: one call of the client. The calls of one round trip (`Table.together`) are made in their order, each a
step of its own, so whatever another request commits between them is seen by some and not by others. In the cloud a
batch and a query are no snapshot either: with `~n` a request reads item n of a batch one step before the others, with
`~-n` one step after, and with both the first n items of a query, which comes along its keys, before the rest. The
authorizer's calls are let through and are no steps. Nothing waits, so the time that a request has does not pass.

Nor does a commit become visible at one moment. With `^n` its items do one after the other, each in a step of its own,
from item n on (with `^-n` downwards), until then reads have what was there before; only transactions do not. They are
in conflict with it where they touch what is not visible yet, and tried again for as long: so here they are no option
until it is. One whose conditions on other items do not hold is refused at once.

A case is a text too: `Apollo/V1UpdateProject,V1DeleteProject@contributor=k!~2`. The project's name; for each request
its name in REQUESTS, then who sends it (the owner), its Idempotency-Key (one of its own; none after a bare `=`), `!`
for an If-Match with the version that the table starts with, how it reads, and how it commits. `case:schedule` is what a
failure shows, and

    SCHEDULE="Apollo/V1UpdateProject,V1DeleteProject:0110" pytest tests/races/test_schedules.py -k given

runs again. `check` holds each run against every order in which the same requests could have come one after the other,
and against what holds after every commit.

A request succeeds in one of two ways. It changes the project, by exactly one commit on it. Or it changes nothing, since
a GET shows already what it sends: then it commits its idempotency record, and that alone; without a key nothing. (Where
a request without a key reads beside `^n`, the GET sees more than it does.)
"""

import json
import multiprocessing
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from http.client import HTTPConnection
from itertools import combinations, pairwise, permutations
from multiprocessing.connection import Connection
from random import Random
from typing import Any
from urllib.parse import urlsplit

import boto3

from atrium import keys
from atrium.ids import to_uuid
from atrium.keys import Key
from atrium.store.engine.table import Item, Table
from atrium.store.engine.wire import plain_item
from atrium.store.fsck.check import Check
from local.template import REGION, Template
from tests.support.actor import ENDS, act
from tests.support.client import HEX24, MOMENT, RECORDS, UUID, Answer, Transport, World, flat_id, flat_path
from tests.support.proxy import sent
from tests.support.requests import FLAT, WRITES, Request

# More steps than any run takes: two requests that keep each other from committing would go on for ever.
_MOST_STEPS = 60

Choose = Callable[[Sequence[str]], str]
Transaction = Mapping[str, Any]


def _role(name: str, role: str) -> Callable[[World, str], Request]:
    return lambda w, p: ("PATCH", f"{p}/members/{w.uuid(name)}", {"role_id": w.role(role)})


def _remove(name: str) -> Callable[[World, str], Request]:
    return lambda w, p: ("DELETE", f"{p}/members/{w.uuid(name)}", None)


def _whole(world: World, project: str) -> Request:
    """Sends back a project as the flat dialect shows it."""
    shown = world("GET", flat_path(project)).body
    return "PUT", flat_path(project), {name: shown[name] for name in FLAT}


# The writes of every route, those that race for a role, and those that set what is there. The project is named by its
# owner and has the contributor as another member with the role manager, and the viewer; Gemini has the outsider too, as
# a manager without a role in the space.
REQUESTS: dict[str, Callable[[World, str], Request]] = {
    **WRITES,
    "Rename": lambda w, p: ("PATCH", p, {"name": "Gemini"}),
    "Archive": lambda w, p: ("PATCH", p, {"status": "archived"}),
    "Unarchive": lambda w, p: ("PATCH", p, {"status": "active"}),
    "HandOver": lambda w, p: ("PATCH", p, {"manager_id": w.uuid("contributor")}),
    "HandOverToViewer": lambda w, p: ("PATCH", p, {"manager_id": w.uuid("viewer")}),
    "HandBack": lambda w, p: ("PATCH", p, {"manager_id": w.uuid("owner")}),
    "Demote": _role("contributor", "viewer"),
    "Remove": _remove("contributor"),
    "DemoteOwner": _role("owner", "viewer"),
    "RemoveOwner": _remove("owner"),
    "DemoteOutsider": _role("outsider", "viewer"),
    "RemoveOutsider": _remove("outsider"),
    "Assign": lambda w, p: ("PATCH", w.new_record(p, "tasks"), {"assigned_to": w.uuid("viewer")}),
    "SameProject": lambda w, p: ("PATCH", p, {"status": "active", "manager_id": w.uuid("owner")}),
    "SameWholeProject": _whole,
    "SameMember": _role("viewer", "viewer"),
    "SameTask": lambda w, p: ("PATCH", w.new_record(p, "tasks"), RECORDS["tasks"]),
    "SameStatus": lambda w, p: ("POST", f"{flat_path(w.new_record(p, 'tasks'))}/status", {"status": "pending"}),
}


# ---------------------------------------------------------------- cases


@dataclass(frozen=True)
class Sent:
    """A request as an actor sends it. `torn` is the item that its reads bring before (or after) the others, `shown` the
    item of its commit that is visible first; 0 for none. `sets` is its body: fields that a GET of `path` shows too, if
    it changes any."""

    request: str
    by: str
    key: str
    torn: int
    shown: int
    path: str
    sets: Mapping[str, Any]
    raw: tuple[str, str, list[tuple[str, str]], bytes]

    @property
    def name(self) -> tuple[str, str, str]:
        """What twins have in common."""
        return self.request, self.by, self.key


_REQUEST = re.compile(
    r"(?P<name>\w+)(@(?P<by>\w+))?(=(?P<key>\w*))?(?P<match>!)?(~(?P<torn>-?\d+))?(\^(?P<shown>-?\d+))?"
)


# Where the flat dialect changes one field of a task.
_PART = re.compile(r"/(status|phase|completed|reassign)$")


class Furnished(World):
    """A world whose project has some of everything already, so that all requests are about the same records."""

    def __init__(self, send: Transport, dev: Mapping[str, Any]) -> None:
        super().__init__(send, dev)
        self._made: dict[tuple[str, str], str] = {}

    def new_record(self, project: str, kind: str, **fields: Any) -> str:
        if (project, kind) not in self._made:
            self._made[project, kind] = super().new_record(project, kind, **fields)
        return self._made[project, kind]

    def new_note(self, task: str, content: str = "Remember", **options: Any) -> str:
        if (task, "notes") not in self._made:
            self._made[task, "notes"] = super().new_note(task, content, **options)
        return self._made[task, "notes"]


class Cases:
    """Turns the texts of cases into requests. Makes what they are about."""

    def __init__(self, world: World) -> None:
        self._captured: Any = None
        self._sends = world._send
        self._captures = False
        self.world = Furnished(self._send, world.dev)
        self.projects = {name: self._project(name) for name in ("Apollo", "Gemini")}
        self.requests = cache(self._requests)

    def _project(self, name: str) -> str:
        world = self.world
        path = world.new_project(name)
        world.new_member(path, "contributor", "manager")
        world.new_member(path, "viewer", "viewer")
        if name == "Gemini":
            world.new_member(path, "outsider", "manager")
        for request in REQUESTS.values():
            request(world, path)
        return path

    def _requests(self, case: str) -> list[Sent]:
        name, _, texts = case.partition("/")
        return [self._request(self.projects[name], number, text) for number, text in enumerate(texts.split(","))]

    def _request(self, project: str, number: int, text: str) -> Sent:
        found = _REQUEST.fullmatch(text)
        if found is None:
            raise ValueError(text)
        method, path, body = REQUESTS[found["name"]](self.world, project)
        key = f"key-{number}" if found["key"] is None else found["key"]
        headers = {"If-Match": self.world("GET", path).headers["etag"]} if found["match"] else {}
        by = found["by"] or "owner"
        self._captures = True
        try:
            self.world(method, path, body, by=by, key=key or None, headers=headers)
        finally:
            self._captures = False
        how = int(found["torn"] or 0), int(found["shown"] or 0)
        what = _PART.sub("", path), body or {}
        return Sent(found["name"], self.world.id(by), key, *how, *what, self._captured)

    def shows(self, sent: Sent) -> bool:
        """Whether a GET shows what a request sets, so that it has nothing to change."""
        if not sent.sets:
            return False
        answer = self.world("GET", sent.path)
        shown = answer.body if answer.status == 200 and isinstance(answer.body, dict) else {}
        return all(name in shown and shown[name] == value for name, value in sent.sets.items())

    def _send(self, *request: Any) -> Any:
        if not self._captures:
            return self._sends(*request)
        self._captured = request
        return 200, [], b""


# ---------------------------------------------------------------- the table


class Rows:
    """The table past Atrium and the SDK, which would take half of the time; and what it was at the start. What is not
    the tenant's is removed: the check of the table has less to do.

    `hidden` holds, under the keys of what is committed and not visible yet, what was there before; None for nothing.
    """

    def __init__(self, endpoint: str, environment: Mapping[str, str], tenant: str) -> None:
        self.name = environment["TABLE_NAME"]
        self._connection = HTTPConnection(urlsplit(endpoint).netloc)
        credential = f"{environment['AWS_ACCESS_KEY_ID']}/20260101/{REGION}/dynamodb/aws4_request"
        self._headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=none",
        }
        found = {_key(item): item for item in self._answer("Scan", TableName=self.name)["Items"]}
        self.start = {key: item for key, item in found.items() if tenant in json.dumps(item)}
        self.restore(found.keys() - self.start.keys())
        self.hidden: dict[Key, Any] = {}

    def under(self, wanted: Iterable[Key]) -> dict[Key, Any]:
        """The items under the keys."""
        asked = [{"pk": {"S": key.pk}, "sk": {"S": key.sk}} for key in wanted]
        requests = {self.name: {"Keys": asked, "ConsistentRead": True}}
        found = self._answer("BatchGetItem", RequestItems=requests)["Responses"][self.name] if asked else []
        return {_key(item): item for item in found}

    def seen(self, operation: str, params: Mapping[str, Any], answer: Any) -> Any:
        """The answer as a read has it from which something is hidden."""
        found = {_key(item): item for item in _items(operation, answer)}
        before = {key: self.hidden[key] for key in self.hidden if _asks_for(operation, params, key)}
        now = {key: item for key, item in (found | before).items() if item is not None}
        if operation == "Query":
            return {**answer, "Items": [now[key] for key in sorted(now)]}
        return {**answer, "Responses": {self.name: list(now.values())}}

    def in_conflict(self, operation: str, params: Mapping[str, Any]) -> bool:
        """Whether a transaction would be in conflict with one that is not visible yet, and refused for nothing else."""
        if not self.hidden or not operation.startswith("Transact"):
            return False
        actions = [action for each in params["TransactItems"] for action in each.values()]
        others = [action for action in actions if _subject(action) not in self.hidden]
        if len(others) == len(actions):
            return False
        checks = [_as_check(action) for action in others if "ConditionExpression" in action]
        return not checks or self.call("TransactWriteItems", {"TransactItems": checks})[0] is None

    def call(self, operation: str, params: Mapping[str, Any]) -> tuple[str | None, Any]:
        """The code of the error, None for none, and the answer."""
        headers = {**self._headers, "X-Amz-Target": f"DynamoDB_20120810.{operation}"}
        response = sent(self._connection, headers, json.dumps(params).encode())
        answer = json.loads(response.read())
        return (None if response.status == 200 else answer["__type"].rpartition("#")[2]), answer

    def _answer(self, operation: str, **params: Any) -> Any:
        error, answer = self.call(operation, params)
        assert error is None, answer
        return answer

    def members_and_meta(self, pk: str) -> tuple[dict[str, Item], Item]:
        """A project's members, by their keys, and its META."""
        values = {":pk": {"S": pk}, ":start": {"S": keys.META}, ":until": {"S": keys.ROLE + "\x7f"}}
        condition = "pk = :pk AND sk BETWEEN :start AND :until"
        answer = self._answer(
            "Query",
            TableName=self.name,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ConsistentRead=True,
        )
        rows = {item["sk"]: item for item in map(plain_item, answer["Items"])}
        return rows, rows.pop("META")

    def changed(self, touched: set[Key]) -> dict[Key, Any]:
        """What now stands under the keys, where it is something else than at the start: None for nothing."""
        found = self.under(touched)
        return {key: found.get(key) for key in touched if found.get(key) != self.start.get(key)}

    def restore(self, changed: Iterable[Key]) -> None:
        writes = [
            {"PutRequest": {"Item": self.start[key]}}
            if key in self.start
            else {"DeleteRequest": {"Key": {"pk": {"S": key.pk}, "sk": {"S": key.sk}}}}
            for key in changed
        ]
        for position in range(0, len(writes), 25):
            self._answer("BatchWriteItem", RequestItems={self.name: writes[position : position + 25]})


def _items(operation: str, answer: Mapping[str, Any]) -> list[Any]:
    """What a Query or a BatchGetItem has found."""
    if operation == "Query":
        return list(answer["Items"])
    return [item for items in answer["Responses"].values() for item in items]


def _key(item: Mapping[str, Any]) -> Key:
    return Key(item["pk"]["S"], item["sk"]["S"])


def _subject(action: Mapping[str, Any]) -> Key:
    """The key of what an action of a transaction is about."""
    return _key(action.get("Key") or action["Item"])


def _written(params: Transaction) -> list[Key]:
    """The keys of what a transaction writes."""
    actions = [each for action in params["TransactItems"] for each in action.items()]
    return [_subject(write) for kind, write in actions if kind != "ConditionCheck"]


def _asks_for(operation: str, params: Mapping[str, Any], key: Key) -> bool:
    if operation == "Query":
        pk, start, until = (params["ExpressionAttributeValues"][name]["S"] for name in (":pk", ":start", ":until"))
        after = params["ExclusiveStartKey"]["sk"]["S"] if "ExclusiveStartKey" in params else ""
        return bool(key.pk == pk and start <= key.sk <= until and key.sk > after)
    return any(_key(wanted) == key for request in params["RequestItems"].values() for wanted in request["Keys"])


def _as_check(action: Mapping[str, Any]) -> dict[str, Any]:
    """What an action of a transaction rests on, by itself."""
    condition = action["ConditionExpression"]
    key = {name: (action.get("Key") or action["Item"])[name] for name in ("pk", "sk")}
    check = {"TableName": action["TableName"], "Key": key, "ConditionExpression": condition}
    for kind in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        used = {name: given for name, given in action.get(kind, {}).items() if re.search(rf"{name}\b", condition)}
        if used:
            check[kind] = used
    return {"ConditionCheck": check}


# ---------------------------------------------------------------- a run


@dataclass(eq=False)
class Attempt:
    """One sending of a request. Steps are numbered from 0; `answer` is None for one that crashed. `commits` are its
    commits, `changes` those of them that changed a project."""

    actor: int
    sent: Sent
    began: int = -1
    ended: int = -1
    commits: int = 0
    changes: int = 0
    answer: Answer | None = None

    @property
    def succeeded(self) -> bool:
        """Whether it was answered that it did what it asks for, by itself and not by a twin."""
        return self.answer is not None and self.answer.status < 300 and not self.answer.replayed


@dataclass
class Run:
    """What happened. `options` are, for each step, all that could have been chosen for it."""

    case: str
    attempts: list[Attempt] = field(default_factory=list)
    schedule: str = ""
    options: list[Sequence[str]] = field(default_factory=list)
    commits: list[Attempt] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    changed: dict[Key, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.case}:{self.schedule}"

    @property
    def observed(self) -> dict[int, Answer | None]:
        """For each request the last answer to it; None if there was none."""
        return {attempt.actor: attempt.answer for attempt in self.attempts}


class _Actor:
    """The scheduler's end of an actor. `waits` is the call that the actor would make."""

    def __init__(self, pipe: Connection, rows: Rows) -> None:
        self._pipe = pipe
        self._rows = rows
        self.waits: tuple[str, dict[str, Any]] | None = None
        self.attempt: Attempt
        self._torn: Any = None
        self._hidden: list[Key] = []
        self._answer: Any = None

    def begin(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self._pipe.send(attempt.sent.raw)
        self._next()

    @property
    def is_held_up(self) -> bool:
        """Whether its call is in conflict with a commit, and would be until that is visible."""
        return self.waits is not None and not self.commits and self._rows.in_conflict(*self.waits)

    @property
    def commits(self) -> bool:
        """Whether its commit is not yet visible."""
        return bool(self._hidden)

    def crash(self, after: bool) -> Transaction | None:
        """Ends the process, before its call takes effect or after. The transaction that was committed."""
        committed = self._made()[2] if after else None
        self._torn = None
        while self._hidden:
            self._show()
        self._pipe.send((ENDS, None))
        self._next()
        return committed

    def step(self) -> Transaction | None:
        """Makes the call, or the first half of it; or lets one more item of its commit be seen. The transaction that
        was committed."""
        if self._hidden:
            self._show()
            if not self._hidden:
                self._pipe.send((None, self._answer))
                self._next()
            return None
        before = self._before()
        error, answer, committed = self._made()
        if committed and before:
            self._answer, self._hidden = answer, list(before)
            self._rows.hidden |= before
            self.step()
            return committed
        if self.waits and self.waits[0] in ("BatchGetItem", "Query") and self.attempt.sent.torn:
            if self._torn is None:
                self._torn = answer
                return None
            answer = self._merged(self.waits[0], self._torn, answer)
            self._torn = None
        self._pipe.send((error, answer))
        self._next()
        return committed

    def _show(self) -> None:
        del self._rows.hidden[self._hidden.pop(0)]

    def _before(self) -> dict[Key, Any]:
        """What is under the keys that the call would write, in the order in which that will be seen; nothing if all of
        it will be at once."""
        first = self.attempt.sent.shown
        if not first or self.waits is None or self.waits[0] != "TransactWriteItems":
            return {}
        written = _written(self.waits[1])
        if first < 0:
            written.reverse()
        first = (abs(first) - 1) % len(written)
        found = self._rows.under(written)
        return {key: found.get(key) for key in written[first:] + written[:first]}

    def _made(self) -> tuple[str | None, Any, Transaction | None]:
        assert self.waits is not None
        operation, params = self.waits
        error, answer = self._rows.call(operation, params)
        if self._rows.hidden and operation in ("BatchGetItem", "Query"):
            answer = self._rows.seen(operation, params, answer)
        return error, answer, params if operation == "TransactWriteItems" and error is None else None

    def _merged(self, operation: str, first: Any, second: Any) -> Any:
        """The answer of a read that was not made at one moment."""
        place = self.attempt.sent.torn
        one, others = (first, second) if place > 0 or operation == "Query" else (second, first)
        found = [_items(operation, answer) for answer in (one, others)]
        known = sorted({_key(item) for items in found for item in items})
        if not known:
            return others
        split = known[(abs(place) - 1) % len(known)]
        if operation == "Query":
            merged = [item for item in found[0] if _key(item) <= split]
            return {**others, "Items": merged + [item for item in found[1] if _key(item) > split]}
        merged = [item for item in found[0] if _key(item) == split] + [item for item in found[1] if _key(item) != split]
        return {**others, "Responses": {self._rows.name: merged}}

    def _next(self) -> None:
        """Receives what the actor does next. The calls of the authorizer are made at once."""
        while True:
            kind, *said = self._pipe.recv()
            if kind != "aside":
                break
            self._pipe.send(self._rows.call(*said))
        self.waits = None
        if kind == "call":
            self.waits = (said[0], said[1])
        elif kind == "answer":
            status, headers, content = said
            self.attempt.answer = Answer(status, {name.lower(): value for name, value in headers}, content)


# The characters of a schedule, and the request that each is about.
_CALL, _BEFORE, _AFTER, _BEFORE_FOR_GOOD, _AFTER_FOR_GOOD = "012", "abc", "ABC", "xyz", "XYZ"
_WHOSE = {
    each: number
    for kind in (_CALL, _BEFORE, _AFTER, _BEFORE_FOR_GOOD, _AFTER_FOR_GOOD)
    for number, each in enumerate(kind)
}


class Explorer:
    """Runs cases by schedules. `runs` counts them, and the runs of one request after the other that they are held
    against where no schedule was one."""

    def __init__(self, cases: Cases, rows: Rows, pipes: Sequence[Connection]) -> None:
        self.cases = cases
        self.runs: Counter[str] = Counter()
        self._rows = rows
        self._actors = [_Actor(pipe, rows) for pipe in pipes]
        self._table = Table(rows.name, boto3.client("dynamodb"))
        self._known = {
            flat_id(id) if "-" in id else id for id in _ID.findall(json.dumps([*rows.start.values(), cases.world.dev]))
        }
        self._sound: set[str] = set()
        self._one_by_one: dict[tuple[str, tuple[int, ...]], Run] = {}
        self._touched: set[Key] = set()
        self._images: dict[str, Item] = {}

    # ------------------------------------------------------------ running

    def run(self, case: str, choose: Choose, *, crashes: bool = True) -> Run:
        """One run, checked; `choose` picks one of the options of each step, the first of which is the lowest request's.

        Raises AssertionError, which shows the case and the schedule.
        """
        run = Run(case)
        with self._on_a_fresh_table(run):
            for actor, sent in zip(self._actors, self.cases.requests(case), strict=False):
                self._begin(run, actor, sent)
            self._until_all_are_done(run, choose, crashes)
        self.runs["schedules"] += 1
        if (order := _only_order(run)) is not None:
            self._one_by_one.setdefault((case, order), run)
        self._check(run)
        return run

    def given(self, text: str) -> Run:
        """Runs `case:schedule`."""
        case, _, schedule = text.partition(":")
        return self.run(case, _following(schedule))

    def every(self, case: str, *, crashes: bool = False) -> Iterator[Run]:
        """All orders of the calls, each once; with `crashes`, a crash at each step of each of them too."""
        prefixes = [""]
        while prefixes:
            prefix = prefixes.pop()
            run = self.run(case, _following(prefix), crashes=crashes)
            for step in range(len(prefix), len(run.schedule)):
                prefixes += [run.schedule[:step] + other for other in run.options[step][1:]]
            yield run

    def some(self, case: str, random: Random, *, crashes: bool = True) -> Run:
        """A schedule by chance."""

        def choose(options: Sequence[str]) -> str:
            calls = [option for option in options if option.isdigit()]
            return random.choice(options if random.random() < 0.2 else calls)

        return self.run(case, choose, crashes=crashes)

    def _until_all_are_done(self, run: Run, choose: Choose, crashes: bool) -> None:
        while options := self._options(run, crashes):
            assert len(run.schedule) < _MOST_STEPS, f"{run} does not come to an end"
            chosen = choose(options)
            run.options.append(options)
            run.schedule += chosen
            self._step(run, chosen)

    def _options(self, run: Run, crashes: bool) -> list[str]:
        """At most one crash in a run."""
        able = {number: actor for number, actor in enumerate(self._actors) if actor.waits and not actor.is_held_up}
        options = [_CALL[number] for number in able]
        if crashes and set(run.schedule) <= set(_CALL):
            waiting = {number: actor.waits for number, actor in able.items() if actor.waits and not actor.commits}
            for number, (operation, _) in waiting.items():
                options += [_BEFORE[number], _BEFORE_FOR_GOOD[number]]
                # A read that nobody hears of is none.
                if operation == "TransactWriteItems":
                    options += [_AFTER[number], _AFTER_FOR_GOOD[number]]
        return options

    def _step(self, run: Run, chosen: str) -> None:
        actor = self._actors[_WHOSE[chosen]]
        attempt, step = actor.attempt, len(run.schedule) - 1
        if attempt.began < 0:
            attempt.began = step
        committed = actor.step() if chosen in _CALL else actor.crash(chosen in _AFTER + _AFTER_FOR_GOOD)
        if committed:
            self._committed(run, attempt, committed)
        if actor.waits is None:
            attempt.ended = step
            # Without a commit its last read is what it rests on.
            if attempt.succeeded and not attempt.commits and not self.cases.shows(attempt.sent):
                run.faults.append(
                    f"{attempt.sent.request}: a success without a commit, and there was something to change"
                )
            if chosen in _BEFORE + _AFTER:
                self._begin(run, actor, attempt.sent)

    def _begin(self, run: Run, actor: _Actor, sent: Sent) -> None:
        attempt = Attempt(self._actors.index(actor), sent)
        run.attempts.append(attempt)
        actor.begin(attempt)

    def _one_after_the_other(self, case: str, order: tuple[int, ...]) -> Run:
        """The same requests, each sent when the one before it was answered."""
        if (case, order) not in self._one_by_one:
            run = Run(case)
            requests = self.cases.requests(case)
            with self._on_a_fresh_table(run):
                for number in order:
                    self._begin(run, self._actors[number], requests[number])
                    self._until_all_are_done(run, lambda options: options[0], crashes=False)
            self.runs["one after the other"] += 1
            self._one_by_one[case, order] = run
        return self._one_by_one[case, order]

    @contextmanager
    def _on_a_fresh_table(self, run: Run) -> Iterator[None]:
        self._touched, self._images = set(), {}
        try:
            yield
            run.changed = self._rows.changed(self._touched)
            self._check_the_table(run)
        finally:
            # Whatever is not done ends now.
            for actor in self._actors:
                while actor.waits:
                    actor.crash(after=False)
            self._rows.restore(self._touched)

    # ------------------------------------------------------------ what holds after every commit

    def _committed(self, run: Run, attempt: Attempt, params: Transaction) -> None:
        attempt.commits += 1
        run.commits.append(attempt)
        written = _written(params)
        self._touched |= set(written)
        if len(written) == 1 and "#I#" in written[0].pk:
            if not self.cases.shows(attempt.sent):
                run.faults.append(f"{attempt.sent.request}: a record alone, and there was something to change")
            return
        attempt.changes += 1
        projects = [key.pk for key in written if key.sk == "META" and "#P#" in key.pk]
        if len(projects) != 1:
            run.faults.append(f"a commit on {projects}")
            return
        before = self._images.get(projects[0], plain_item(self._rows.start.get(Key(projects[0], "META"), {})))
        members, meta = self._rows.members_and_meta(projects[0])
        self._images[projects[0]] = meta
        run.faults += _judged(before, members, meta, attempt.sent.by)

    def _check_the_table(self, run: Run) -> None:
        """The check of the table, for what is left where no run before has left the same."""
        left = self._text(run.changed)
        if left not in self._sound:
            found = Check(self._table).run()
            if not found["clean"] or found["unsettled"]:
                run.faults.append(f"fsck: {found}")
            self._sound.add(left)

    # ------------------------------------------------------------ what holds after every run

    def _check(self, run: Run) -> None:
        faults = [*run.faults, *_misanswered(run)]
        shown = self.shown(run)
        if not faults and all(self._shown_in(run, order) != shown for order in _orders(run)):
            faults.append("like no order of the requests")
            faults += [_difference(shown, self._shown_in(run, order), order) for order in _orders(run)]
        assert not faults, f"{run}\n" + "\n".join(faults)

    def _shown_in(self, run: Run, order: tuple[int, ...]) -> str:
        """What the same requests show in an order, as far as their answers were heard in the run."""
        other = self._one_after_the_other(run.case, order)
        assert not other.faults, f"{run.case}, in the order {order}: {other.faults}"
        return self.shown(other, {actor for actor, answer in run.observed.items() if answer})

    def shown(self, run: Run, heard: set[int] | None = None) -> str:
        """The answers to the requests, all or those that were heard, and what is left in the table."""
        answers = {
            actor: [answer.status, answer.headers.get("etag"), answer.headers.get("link"), answer.content.decode()]
            for actor, answer in sorted(run.observed.items())
            if answer and (heard is None or actor in heard)
        }
        return self._text(run.changed, answers)

    def _text(self, changed: Mapping[Key, Any], answers: Any = None) -> str:
        """As text, without moments, and with each new id called by where it first appears: in an answer, or a row."""
        names: dict[str, str] = {}

        def named(found: re.Match[str]) -> str:
            id = flat_id(found[0]) if "-" in found[0] else found[0]
            return found[0] if id in self._known else names.setdefault(id, f"<id {len(names)}>")

        def as_yet(found: re.Match[str]) -> str:
            return names.get(flat_id(found[0]) if "-" in found[0] else found[0], "<id>")

        text = _ID.sub(named, _without_moments(json.dumps(answers)))
        rows = [
            _without_moments(json.dumps([*key, _without_bound(row)], sort_keys=True)) for key, row in changed.items()
        ]
        return "\n".join([text, *(_ID.sub(named, row) for row in sorted(rows, key=partial(_ID.sub, as_yet)))])


def _without_bound(row: Any) -> Any:
    """An idempotency record without the sequence that it knows to be the least: it is what was read, and another's
    commit may have come between. The check of the table holds it against META."""
    if row is None or "change" not in row:
        return row
    change = {name: value for name, value in row["change"]["M"].items() if name != "sequence"}
    return {**row, "change": {"M": change}}


def _without_moments(text: str) -> str:
    return re.sub(rf'{MOMENT.pattern}|(?<="ttl": {{"N": ")\d+', "<moment>", text)


_ID = re.compile(rf"{UUID.pattern}|(?<![0-9a-f]){HEX24.pattern}(?![0-9a-f])")


def _difference(shown: str, other: str, order: tuple[int, ...]) -> str:
    here, there = shown.splitlines(), other.splitlines()
    lines = [f"+ {line}" for line in here if line not in there] + [f"- {line}" for line in there if line not in here]
    return "\n".join([f"in the order {order}:", *lines])


def _following(schedule: str) -> Choose:
    left = list(schedule)
    return lambda options: left.pop(0) if left else options[0]


def _judged(before: Item, members: Mapping[str, Item], meta: Item, by: str) -> Iterator[str]:
    """What is wrong with a project after a commit: `before` is its META before, empty for none."""
    event = meta["last_event"]
    if meta["sequence"] != before.get("sequence", 0) + 1:
        yield f"sequence {meta['sequence']} after {before.get('sequence')}"
    if meta["version"] != before.get("version", 0) + (event["type"] in ("project.created", "project.updated")):
        yield f"version {meta['version']} after {before.get('version')} with {event['type']}"
    if event["id"] == before.get("last_event", {}).get("id"):
        yield "a commit without an event"
    if event["actor"]["principal_id"] != to_uuid(by):
        yield f"a commit of {by} with an event of {event['actor']}"
    if "deleted_at" in before:
        yield "a commit on a deleted project"
    if "deleted_at" not in meta:
        manager = members.get(keys.ROLE + meta["manager"], {}).get("role")
        if manager != "manager":
            yield f"the named manager is {manager}"
        if meta["members"] != len(members):
            yield f"{len(members)} members, counted as {meta['members']}"


def _misanswered(run: Run) -> Iterator[str]:
    """Answers that do not tell what the request did; requests with one key that did something twice, or were answered
    differently."""
    answered = [attempt for attempt in run.attempts if attempt.answer]
    for attempt in answered:
        answer: Any = attempt.answer
        if answer.status >= 500:
            yield f"{attempt.sent.request}: {answer.status} {answer.content.decode()}"
        leaves_something = attempt.succeeded and (attempt.changes or attempt.sent.key)
        if attempt.commits != bool(leaves_something):
            yield f"{attempt.sent.request}: {attempt.commits} commits and {answer.status} {dict(answer.headers)}"
    for name in {attempt.sent.name for attempt in run.attempts if attempt.sent.key}:
        twins = [attempt for attempt in run.attempts if attempt.sent.name == name]
        if sum(attempt.commits for attempt in twins) > 1:
            yield f"{name}: committed more than once"
        answers: Any = [attempt.answer for attempt in twins if attempt.answer and attempt.answer.status < 300]
        if len({(answer.status, answer.headers.get("etag"), answer.content) for answer in answers}) > 1:
            yield f"{name}: answered differently: {answers}"


def _only_order(run: Run) -> tuple[int, ...] | None:
    """The order of the requests, if each began when the one before it was answered."""
    attempts = sorted(run.attempts, key=lambda attempt: attempt.began)
    if any(attempt.answer is None for attempt in attempts):
        return None
    one_by_one = all(first.ended < second.began for first, second in pairwise(attempts))
    return tuple(attempt.actor for attempt in attempts) if one_by_one else None


def _orders(run: Run) -> Iterator[tuple[int, ...]]:
    """Every order in which the requests may have come, as far as a client could tell: what had ended before another
    began was before it, and one that crashed may have done nothing. The order of the commits first.
    """
    crashed = [attempt for attempt in run.attempts if attempt.answer is None]
    ended = [*run.commits, *(attempt for attempt in run.attempts if attempt not in run.commits)]
    for lost in ([], crashed) if crashed else ([],):
        attempts = [attempt for attempt in ended if attempt not in lost]
        for order in permutations(attempts):
            if not any(second.ended < first.began for first, second in combinations(order, 2)):
                yield tuple(attempt.actor for attempt in order)


@contextmanager
def explorer(template: Template, world: World, endpoint: str, environment: Mapping[str, str]) -> Iterator[Explorer]:
    """Three actors on the table of a world in this process, whose functions' environment is given."""
    methods = multiprocessing.get_context("forkserver")
    methods.set_forkserver_preload(["local.preload"])
    cases = Cases(world)
    pipes, processes = [], []
    for _ in range(3):
        ours, theirs = methods.Pipe()
        process = methods.Process(
            target=act, args=(theirs, dict(environment), template.api, template.functions, template.stage), daemon=True
        )
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
        yield Explorer(cases, Rows(endpoint, environment, tenant), pipes)
    finally:
        for pipe, process in zip(pipes, processes, strict=True):
            pipe.close()
            process.join()
