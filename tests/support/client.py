"""An HTTP client for the tests: one vocabulary, whether the API runs in this process or behind a socket."""

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit
from uuid import uuid4

import httpx

from atrium.errors import Code
from local.bus import Bus, Event
from local.gateway import Gateway, Request
from local.queues import Queues
from tests.support.direct import Direct

Transport = Callable[[str, str, list[tuple[str, str]], bytes], tuple[int, list[tuple[str, str]], bytes]]

MISSING = object()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content) if self.content else None

    @property
    def version(self) -> int:
        """The counter of its ETag."""
        return int(self.headers["etag"].strip('"').rpartition("-")[2])

    @property
    def recorded(self) -> bytes:
        """The content as a replay has it: a secret is in the first answer alone."""
        return re.sub(rb'"secret":"atr_[^"]*"', b'"secret":null', self.content)

    @property
    def replayed(self) -> bool:
        return self.headers.get("idempotent-replayed") == "true"

    @property
    def seen(self) -> tuple[int, Any]:
        """Status and body: what most tests assert."""
        return self.status, self.body

    @property
    def timeless(self) -> tuple[int, bytes]:
        """Status and content, without the moment at which a list of events was asked for, and without a secret."""
        return self.status, re.sub(rb'"watermark":"[^"]*"', b'"watermark":""', self.recorded)


def through(gateway: Gateway) -> Transport:
    def send(method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> Any:
        reply = gateway.handle(Request(method, path, [("Host", "api.test"), *headers], body))
        return reply.status, reply.headers, reply.body

    return coded(send)


def coded(send: Transport) -> Transport:
    """The same, where each refusal, and no other answer, has one code of the table and says where that is explained."""

    def judged(method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> Any:
        status, got, answer = send(method, path, headers, body)
        codes = [value for name, value in got if name.lower() == "x-error-code"]
        if status < 400:
            assert not codes, (method, path, status, codes)
        else:
            assert len(codes) == 1, (method, path, status, answer, codes)
            assert codes[0] in CODES, codes
            (link,) = (value for name, value in got if name.lower() == "link")
            found = re.fullmatch('<(.+)>; rel="help"', link)
            assert found, link
            # What is relative is so to the request.
            page = urlsplit(urljoin(f"http://api.test{urlsplit(path).path}", found[1]))
            assert (page.path, page.fragment) == ("/docs", "errors"), link
        return status, got, answer

    return judged


# What may stand in X-Error-Code.
CODES = frozenset(code.word for code in Code)


def over_http(base_url: str, **headers: str) -> Transport:
    """`headers` are sent with each request."""
    # One client for all threads of a test; httpx would otherwise add an Accept-Encoding nobody asked for.
    http = httpx.Client(base_url=base_url, headers=headers, timeout=None, limits=httpx.Limits(max_connections=100))

    def send(method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> Any:
        reply = http.request(method, path, headers=headers, content=body)
        return reply.status_code, reply.headers.multi_items(), reply.content

    return send


class Published(Bus):
    """An event bus that keeps what was put on it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        super().__init__(self.events.append)

    @property
    def details(self) -> list[Any]:
        return [event.envelope["detail"] for event in self.events]


class World:
    """Two tenants, acme and globex, each with spaces default and research and four principals, behind an API.

    `dev` is what `make run` writes into dev.json; `bus` is where its functions publish, unless it is an instance's;
    `table` is the way to its table past the API, and `queues` are those that functions send to: of a world in this
    process.
    """

    def __init__(
        self,
        send: Transport,
        dev: Mapping[str, Any],
        bus: Published | None = None,
        gateway: Gateway | None = None,
        table: Direct | None = None,
        queues: Queues | None = None,
    ) -> None:
        self._send = send
        self.gateway = gateway
        self.table = table
        self.queues = queues
        self.dev = dev
        self.bus = bus or Published()
        # The space of which requests change the members; made by the first of them.
        self.lab: str | None = None
        # The paths of a webhook that tests only read, of its delivery and its recovery; made by the first of them.
        self.webhook: tuple[str, str, str] | None = None
        # The paths of other webhooks that are not to be deleted to make room.
        self.kept: set[str] = set()
        # How many webhooks tests have deleted.
        self.deleted = 0

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = MISSING,
        *,
        by: str | None = "owner",
        tenant: str = "acme",
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """Sends a request as a principal; `by=None` sends no credential."""
        sent = dict(headers or {})
        if by is not None:
            sent["Authorization"] = f"Bearer {self.principal(by, tenant)['token']}"
        if key is not None:
            sent["Idempotency-Key"] = key
        if body is not MISSING:
            content = json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        return self.raw(method, path, list(sent.items()), content or b"")

    def raw(self, method: str, path: str, headers: list[tuple[str, str]], content: bytes = b"") -> Answer:
        status, got, answer = self._send(method, path, headers, content)
        return Answer(status, {name.lower(): value for name, value in got}, answer)

    # ------------------------------------------------------------ who and where

    def principal(self, name: str, tenant: str = "acme") -> Any:
        return self.dev["tenants"][tenant]["principals"][name]

    def id(self, name: str, tenant: str = "acme") -> str:
        """A principal's id in the flat spelling."""
        return str(self.principal(name, tenant)["id"])

    def uuid(self, name: str, tenant: str = "acme") -> str:
        """A principal's id in the v1 spelling."""
        return str(self.principal(name, tenant)["principal_id"])

    def role(self, key: str) -> str:
        return str(self.dev["roles"][key])

    def space(self, space: str = "default", tenant: str = "acme") -> str:
        """The path of a space."""
        return f"/v1/spaces/{self.dev['tenants'][tenant]['spaces'][space]}"

    def projects(self, space: str = "default", tenant: str = "acme") -> str:
        """The path of a space's projects."""
        return f"{self.space(space, tenant)}/projects"

    # ------------------------------------------------------------ making things

    def new_project(self, name: str = "Apollo", **options: Any) -> str:
        """A v1 project's path."""
        space = options.pop("space", "default")
        path = self.projects(space, options.get("tenant", "acme"))
        answer = self("POST", path, {"name": name}, **options)
        assert answer.status == 201, answer
        return f"{path}/{answer.body['id']}"

    def new_space(self) -> str:
        """The path of a new space, which is empty and has no owner."""
        answer = self("POST", "/v1/spaces", {"name": "Attic", "owner_id": None})
        assert answer.status == 201, answer
        return f"/v1/spaces/{answer.body['id']}"

    def new_member(self, project: str, name: str, role: str) -> str:
        """A v1 member's path."""
        answer = self("POST", f"{project}/members", {"principal_id": self.uuid(name), "role_id": self.role(role)})
        assert answer.status == 201, answer
        return f"{project}/members/{self.uuid(name)}"

    def new_record(self, project: str, kind: str, **fields: Any) -> str:
        """The v1 path of a new record of a v1 project; `kind` is tasks, datasets, experiments or decisions."""
        answer = self("POST", f"{project}/{kind}", RECORDS[kind] | fields)
        assert answer.status == 201, answer
        return f"{project}/{kind}/{answer.body['id']}"

    def new_principal(self) -> str:
        """The path of a new person."""
        body = {"name": "Ada Lovelace", "email": f"ada.{uuid4()}@acme.example"}
        answer = self("POST", "/v1/principals", body)
        assert answer.status == 201, answer
        return f"/v1/principals/{answer.body['id']}"

    def new_credential(self, holder: str, *, rotated: bool = False) -> str:
        """The path of a new credential of a principal, made by the owner, who is an admin."""
        path = f"/v1/principals/{self.uuid(holder)}/credentials"
        answer = self("POST", path, {"kind": "api_key", "name": "CI", "enrol": holder != "owner"})
        assert answer.status == 201, answer
        path = f"{path}/{answer.body['id']}"
        assert not rotated or self("POST", f"{path}/rotate", {}).status == 200
        return path

    def new_note(self, task: str, content: str = "Remember", **options: Any) -> str:
        """The flat path of a new note on a task of a v1 path."""
        path = f"{flat_path(task)}/notes"
        answer = self("POST", path, {"content": content}, **options)
        assert answer.status == 201, answer
        return f"{path}/{answer.body['_id']}"


# What a record of each kind needs, in the v1 dialect.
RECORDS: dict[str, dict[str, Any]] = {
    "tasks": {"name": "Clean the data", "description": "Drop duplicates", "phase": "data_preparation"},
    "datasets": {
        "name": "Transactions",
        "source": "https://example.com/transactions.csv",
        "description": "Two years of transactions",
        "acquisition_date": "2026-01-15",
        "phase": "data_understanding",
    },
    "experiments": {
        "name": "Baseline",
        "algorithm_model": "Logistic regression",
        "parameters": "C=1.0",
        "metric": "AUC",
        "result": "0.81",
        "conclusion": "Good enough to start from",
        "phase": "modeling",
    },
    "decisions": {
        "description": "Score weekly",
        "justification": "Nobody acts on it faster",
        "phase": "deployment",
    },
}


def in_camel_case(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same fields as the flat dialect spells them."""
    return {re.sub(r"_(\w)", lambda found: found[1].upper(), name): value for name, value in fields.items()}


def flat_path(path: str) -> str:
    """The flat path of what has a v1 path: of a project, or of something below it."""
    found = UUID.sub(lambda uuid: flat_id(uuid[0]), path)
    return re.sub(r"^/v1/spaces/[0-9a-f]{24}", "", found)


def flat_id(uuid: str) -> str:
    digits = uuid.replace("-", "")
    return digits[:12] + digits[20:]


def v1_id(id: str) -> str:
    return f"{id[:8]}-{id[8:12]}-8000-8000-{id[12:]}"


def new_key() -> str:
    return str(uuid4())


UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8000-8000-[0-9a-f]{12}")
HEX24 = re.compile(r"[0-9a-f]{24}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


Command = tuple[str, str, list[tuple[str, str]], bytes]


def curls(text: str) -> list[Command]:
    """The curl commands of a text, as requests: method, target, headers, body. The machine need not have curl."""
    found = []
    for command in re.findall(r"^ *(curl (?:.*\\\n)*.*)$", text, re.MULTILINE):
        words = shlex.split(command.replace("\\\n", " "))[1:]
        method, url, headers, body = "", "", [], b""
        while words:
            match words.pop(0):
                case "-X" | "--request":
                    method = words.pop(0)
                case "-H" | "--header":
                    name, _, value = words.pop(0).partition(": ")
                    headers.append((name, value))
                case "-d" | "--data":
                    body = words.pop(0).encode()
                case "-i" | "-s":
                    pass
                case word:
                    url = word
        target = re.sub(r"^https?://[^/]+", "", url)
        found.append((method or ("POST" if body else "GET"), target, headers, body))
    return found


class Like:
    """Equal to every string of a form, so that whole answers can be compared."""

    def __init__(self, form: re.Pattern[str]) -> None:
        self._form = form

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self._form.fullmatch(other) is not None

    def __hash__(self) -> int:
        return hash(self._form)

    def __repr__(self) -> str:
        return f"<like {self._form.pattern}>"


A_UUID = Like(UUID)
AN_ID = Like(HEX24)
A_MOMENT = Like(MOMENT)


def every_page(world: Callable[..., Answer], path: str, limit: int = 100) -> Iterator[Any]:
    cursor = ""
    while True:
        page = world("GET", f"{path}?limit={limit}{cursor}").body
        yield from page["data"]
        if not page["meta"]["has_more"]:
            return
        cursor = f"&cursor={page['meta']['next_cursor']}"


def links(answer: Answer) -> dict[str, str]:
    """The targets of an answer's Link header, by title, `` for none."""
    found = {}
    for link in answer.headers.get("link", "").split(", "):
        url, *parameters = link.split("; ")
        if url:
            title = next((value[7:-1] for value in parameters if value.startswith("title=")), "")
            found[title] = url[1:-1].partition("api.test")[2]
    return found


def every_item(world: World, path: str) -> Iterator[Any]:
    """The items of a flat list, over its Link headers."""
    while path:
        answer = world("GET", path)
        assert answer.status == 200
        yield from answer.body
        path = links(answer).get("", "")
