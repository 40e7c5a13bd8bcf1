"""Hostile requests to a route, and the judgement of their answers."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from atrium.settings import settings
from atrium.store.engine.table import table
from atrium.text import address
from tests.support.client import RECORDS, Answer, World, in_camel_case
from tests.support.corpus import MARK
from tests.support.requests import EVERY_ROUTE, WRITES, a_project
from tests.support.webhooks import delete_webhook, purge_in_time

INTERNALS = re.compile(
    r"traceback|boto|dynamodb|amazonaws|arn:|pydantic|powertools|/functions|/layers|\.py\b|\bat 0x|"
    r"\b[a-z]+(error|exception)\b|#pk|[ktpu]#|consistent ?read|expressionattribute",
    re.IGNORECASE,
)


JSON = [("Content-Type", "application/json")]


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
            method, path, body = EVERY_ROUTE[route](self.world, project)
            if body is not None:
                body = body | more_fields(self.world, route)
            self._targets[route] = Target(route, method, path, body)
            self.world.kept |= {*_WEBHOOK.findall(path)}
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
        assert not self.failures, "\n".join(self.failures[:20])

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
            if target.route == "V1CreateWebhook":
                delete_webhook(self.world, f"{target.path}/{made}")
            else:
                assert self.world("DELETE", f"{target.path}/{made}").status in (200, 204)
        elif "Remove" in target.route:
            member = {"principal_id": self.world.uuid("viewer"), "role_id": self.world.role("viewer")}
            again = member if target.v1 else {"id": self.world.id("viewer")}
            assert self.world("POST", target.path.rpartition("/")[0], again).status == 201
        elif target.method == "DELETE" or re.search(_ONCE, target.route):
            self.world.kept -= {*_WEBHOOK.findall(target.path)}
            if target.route == "V1DeleteWebhook":
                purge_in_time(self.world)
            del self._targets[target.route]


_WEBHOOK = re.compile("/v1/webhooks/[0-9a-f-]{36}")
# Requests that are refused if they are made again at once.
_ONCE = "(Rotate|Test)Webhook|RecoverEvents"


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
        "CreatePrincipal": {"email": "bot@acme.example", "external_id": "bot-1", "tenant_role": "member"},
        "UpdatePrincipal": {"email": "king@acme.example", "external_id": "00u1"}
        | {"tenant_role": "admin", "status": "active"},
        "UpdateDataset": RECORDS["datasets"] | {"records": 5},
        "UpdateExperiment": RECORDS["experiments"],
        "CreateSpace": {"description": "x"},
        "UpdateSpace": {"description": "x"},
        "CreateWebhook": {"description": "x", "space_ids": [world.space().rpartition("/")[2]]},
        "UpdateWebhook": {"description": "x", "project_ids": None},
        "CreateDecision": {"alternatives": "None"},
        "UpdateDecision": RECORDS["decisions"] | {"alternatives": "None"},
    }
    found = more.get(route.removeprefix("V1"), {})
    return found if v1 else in_camel_case(found)


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
    if shown.keys() == {"message"} or re.search("/webhooks/.*/(test|rotate|redeliver|recover)$", target.path):
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
        case "email" if isinstance(value, str):
            return bool(found == address(value))
        case "assignedTo":
            return bool(found == (value or None))
        case "records" if isinstance(value, tuple):  # a whole number in any spelling
            return isinstance(found, tuple) and Decimal(found[1]) == Decimal(value[1])
        case _:
            return bool(found == value)


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def is_shown_later(world: World, target: Target, shown: Any) -> bool:
    id = next((shown[name] for name in ("principal_id", "_id", "id") if name in shown), "")
    # A secret, and when the one before it ends, are in the answer that makes it alone.
    shown = {name: value for name, value in shown.items() if name not in ("secret", "previous_expires_at")}
    # A note is shown in the list of its task's notes alone.
    makes = target.method == "POST" and not target.path.endswith(("/notes", "/rotate"))
    if makes and (target.v1 or target.path == "/projects"):
        return bool(world("GET", f"{target.path}/{id}").body == shown)
    path = re.sub("/(status|phase|completed|reassign|rotate)$", "", target.path)
    later = world("GET", path).body
    listed = later["data"] if target.v1 and path.endswith("/notes") else later
    return shown in listed if isinstance(listed, list) else bool(shown.items() <= later.items())


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


def invalid(target: Target) -> int:
    return 422 if target.v1 else 400
