"""Calls of the model as HTTP requests, and the comparison of the API's answers with those of the model."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from hypothesis import currently_in_test_context, note

from atrium import keys
from tests.model.answers import DIGEST, Call, Expected
from tests.model.differences import differences
from tests.model.fields import KINDS, is_v1, spelled
from tests.model.model import Model
from tests.model.state import Credential, Hint, Moment, Person, Project, Shown, Space, Tenant, Webhook
from tests.model.strategies import NOTHING
from tests.support.changes import last_event
from tests.support.client import HEX24, UUID, Answer, World, every_page, flat_id, v1_id
from tests.support.clock import NET
from tests.support.faults import Crash, FaultyClient, faulty
from tests.support.routes import routes
from tests.support.world import the_template

ROUTES = routes(the_template())


@dataclass
class Known:
    """The ids of all resources ever created: projects, records by kind, notes; each after the ids of its parents;
    credentials after the names of their holders; deliveries and recoveries after the ids of their webhooks."""

    projects: list[str]
    records: dict[str, list[tuple[str, str]]]
    notes: list[tuple[str, str, str]]
    credentials: list[tuple[str, str]]
    spaces: list[str]
    webhooks: list[str]
    deliveries: list[tuple[str, str]]
    recoveries: list[tuple[str, str]]


class Speaker:
    """Sends calls of the model to the API, and compares the answers with the model's."""

    def __init__(self, world: World) -> None:
        self.world = world
        spaces = {
            f"{tenant}/{name}": flat_id(id)
            for tenant, known in world.dev["tenants"].items()
            for name, id in known["spaces"].items()
        }
        self.model = Model(people(world), spaces, world.dev["roles"])
        self.known = Known([], {kind: [] for kind in KINDS}, [], [], [], [], [], [])
        self.pages: list[Call] = []
        self.sent: list[Call] = []
        # The answer by caller, route and key; the cursor by list (path and filters) and last id.
        self.answers: dict[tuple[str, str, str], bytes] = {}
        self.cursors: dict[tuple[str, str], str] = {}
        self.ahead = timedelta()
        self.changed: Project | None = None

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def ask(self, call: Call, fault: tuple[str, str] | None = None) -> Answer:
        """Sends a call, and again after a crash: the change must happen once."""
        begun = self.now()
        answer, times = self._delivered(call, fault)
        fresh = id_in(answer)
        moment = Moment(begun, self.now())
        self.changed = touched = None
        for _ in range(times):
            expected = self.model.answer(call, fresh, moment)
            if call.key and not expected.replayed:
                # The key had expired. Its new answer may be lost, and the first one seen may be a replay.
                self.answers.pop((call.by, call.route, call.key), None)
            self.changed = self.model.changed or self.changed
            touched = self.model.touched or touched
        self._compare(call, answer, expected)
        if self.changed:
            self._remember(call, fresh, self.changed.id)
            self._require_event(self.changed, self.changed.space.partition("/")[0])
        if touched:
            self._remember_of_tenant(call, fresh)
            self._require_event(touched, self.model.people[call.by].tenant)
        if expected.more:
            self._turn(call, answer, expected.more)
        return answer

    def _delivered(self, call: Call, fault: tuple[str, str] | None) -> tuple[Answer, int]:
        """The answer, and how often the functions completed the work for it."""
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
        item = self._id(call.item) if call.item in (*self.model.people, "unknown") else call.item
        names = ("member_id", "user_id", "principal_id", *(f"{kind}_id" for kind in KINDS))
        values = {"project_id": call.project, "id": call.project, "note_id": call.note, "credential_id": call.note}
        values |= {**dict.fromkeys(names, item), "webhook_id": item, "event_id": call.note, "job_id": call.note}
        values["space_id"] = self.model.spaces.get(call.space, NOTHING)
        return {name: spell(value) for name, value in values.items() if value}

    def _spelled(self, call: Call) -> dict[str, Any]:
        """A body as its dialect spells it."""
        v1 = is_v1(call.route)
        sent = {}
        for name, value in (call.body or {}).items():
            if name in ("principal", "manager", "owner", "assigned_to") and value:
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
            # A cursor is opaque. The page behind it is compared with the model later.
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
            if self.model.succeeded or expected.replayed:
                self.answers[place] = answer.recorded
        links = answer.headers.get("link", "")
        assert ('rel="next"' in links) == (expected.more is not None and not is_v1(call.route)), (call, answer)

    def _compare_etag(self, call: Call, answer: Answer, expected: Expected) -> None:
        shown = answer.headers.get("etag")
        if expected.membership and (found := re.fullmatch(r'"v-([0-9a-f]{24})-(\d+)"', shown or "")):
            assert expected.membership.is_shown_as(found[1]), (call, expected, shown)
            shown = f'"{found[2]}"'
        if isinstance(expected.etag, Shown):
            found = re.fullmatch(r'"v-([0-9a-f]{64})"', shown or "")
            assert found, (call, shown)
            assert expected.etag.is_shown_as(found[1]), (call, expected, shown)
            return
        if expected.etag == DIGEST:
            shown = re.sub(r"v-[0-9a-f]{32}", DIGEST, shown or "")
        assert shown == (expected.etag and f'"{expected.etag}"'), (call, expected)

    def _remember(self, call: Call, fresh: str, project: str) -> None:
        """Remembers the id of a created project, or of what was created in one."""
        if "CreateProject" in call.route:
            self.known.projects.append(fresh)
        for kind in KINDS:
            if f"Create{kind.title()}" in call.route:
                self.known.records[kind].append((project, fresh))
        if call.route.endswith("AddTaskNote"):
            self.known.notes.append((project, call.item, fresh))
        made = "Create" in call.route or call.route.endswith("AddTaskNote")
        assert not made or self.ahead + datetime.now(UTC) - born(fresh) < timedelta(seconds=NET)

    def _remember_of_tenant(self, call: Call, fresh: str) -> None:
        """Remembers the id of what was created and belongs to no project."""
        match call.route:
            case "V1CreateSpace":
                self.known.spaces.append(f"{self.model.people[call.by].tenant}/{fresh}")
            case "V1CreateCredential":
                self.known.credentials.append((call.item, fresh))
            case "V1CreateWebhook":
                self.known.webhooks.append(fresh)
            case "V1TestWebhook":
                self.known.deliveries.append((call.item, fresh))
            case "V1RecoverEvents":
                self.known.recoveries.append((call.item, fresh))

    def _require_event(self, changed: Project | Space | Tenant | Person | Webhook, tenant: str) -> None:
        """Compares the event on the project, the space, the tenant, the principal or the webhook, which the stream will
        publish, with the model's. The model does not count all changes of a principal."""
        id = self.model.spaces[f"{tenant}/default"]
        if isinstance(changed, Project):
            key = keys.project(id, changed.id)
        elif isinstance(changed, Person):
            key = keys.principal(id, changed.id)
        elif isinstance(changed, Webhook):
            key = keys.endpoint(id, changed.id)
        else:
            key = keys.space(id, changed.id) if isinstance(changed, Space) else keys.tenant(id)
        found = last_event(key)
        event = changed.event
        assert isinstance(changed, Person) or found["sequence"] == changed.sequence
        actor = {name: found["actor"][name] for name in ("principal_id", "kind")}
        assert actor == {"principal_id": v1_id(self._id(event["by"])), "kind": "user"}
        wanted = {"changed": None, **{name: value for name, value in event.items() if name != "by"}}
        if isinstance(changed, Webhook):
            wanted["webhook_id"] = v1_id(changed.id)
        shown = {name: found.get(name) for name in wanted}
        assert not differences(wanted, shown), differences(wanted, shown)

    def _turn(self, call: Call, answer: Answer, more: str) -> None:
        """Remembers the request for the next page."""
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
    """One call to the table fails: the first commit, or the first read."""
    left = [fault] if fault else []

    def choose(_: int, operation: str, params: Mapping[str, Any]) -> str | None:
        # The authorizer's call depends on its cache.
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
    """Adds a line to the log of a failing run."""
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
            made = Moment(datetime.fromtimestamp(0, UTC), datetime.now(UTC))
            email, own = f"{name}@{tenant}.example", principal["tenant_role"]
            found[called] = Person(principal["id"], tenant, full_name, email, role, made, made, tenant_role=own)
            found[called].sends, found[called].credentials = given(world, name, tenant)
    return found


def given(world: World, name: str, tenant: str) -> tuple[str, dict[str, Credential]]:
    """The id of the credential with which a principal sends its requests, and all that it has, by their ids."""
    me = world("GET", "/v1/me", by=name, tenant=tenant).body
    path = f"/v1/principals/{me['principal_id']}/credentials"
    credentials = {}
    for shown in every_page(partial(world, by=name, tenant=tenant), path):
        answer = world("GET", f"{path}/{shown['id']}", by=name, tenant=tenant)
        id, ends = flat_id(shown["id"]), shown["expires_at"]
        credentials[id] = Credential(
            id,
            shown["kind"],
            shown["name"],
            {part: shown[part] for part in ("permissions", "space_ids", "project_ids")},
            shown["issued_by"],
            Moment.at(shown["created_at"]),
            Moment.at(ends) if ends else None,
            shown["enrol"],
            hint=Hint(shown["hint"]),
            is_revoked=shown["status"] == "revoked",
            is_given=True,
            version=answer.version,
        )
    return flat_id(me["credential"]["id"]), credentials


def id_in(answer: Answer) -> str:
    """The id of the resource in an answer, in 24 digits; of a delivery that of its event."""
    shown = answer.body if isinstance(answer.body, dict) else {}
    id = shown.get("_id") or shown.get("id") or shown.get("event_id") or ""
    if UUID.fullmatch(id):
        return flat_id(id)
    assert not id or HEX24.fullmatch(id), id
    return str(id)


def born(id: str) -> datetime:
    """The time in the first digits of an id."""
    return datetime.fromtimestamp(int(id[:8], 16), UTC)
