"""One run of random requests: a rule for each route, and rules for repeated requests, time and purges."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from atrium import ids
from atrium.automation import streams
from atrium.models import timestamp
from atrium.store import keyring, records
from atrium.store.engine import work
from atrium.store.engine.table import table
from atrium.store.engine.wire import wire_item
from atrium.store.fsck.check import Check
from atrium.store.purge import queued
from local.functions import call as invoke
from tests.model.answers import Call
from tests.model.fields import KINDS, REQUIRED, is_v1
from tests.model.model import OPERATIONS
from tests.model.speaker import ROUTES, failing, say
from tests.model.start import Start
from tests.model.strategies import (
    ADMINS,
    BODIES,
    CALLERS,
    FAULT,
    IF_MATCH,
    MEMBERS,
    NOTHING,
    PEOPLE,
    QUERIES,
    SELDOM,
    STRAY,
    WHICH,
    body,
)
from tests.support.client import Answer, flat_id
from tests.support.deletions import unhurried
from tests.support.faults import Crash

T = TypeVar("T")


class Run(RuleBasedStateMachine):
    """One run. The loop below adds a rule for each route."""

    start: ClassVar[Start]

    def __init__(self) -> None:
        super().__init__()
        self.speaker = self.start.again()
        self.model, self.known = self.speaker.model, self.speaker.known
        self.start.tally.runs += 1
        # Hypothesis switches most rules off in most runs. The runs here are few, so each has all rules.
        choice: Any = self._rules_strategy
        choice.enabled_rules_strategy = st.just(SimpleNamespace(is_enabled=lambda name: True))
        self._clock = pytest.MonkeyPatch()
        # False during a step, and after a failed one.
        self._is_whole = True

    # ------------------------------------------------------------ the request of a route

    def request(self, route: str, drawn: Mapping[str, Any]) -> None:
        body, query = self._dated(drawn.get("body")), self._dated(drawn.get("query"))
        call = Call(route, by=drawn["by"], query=query or {}, body=body)
        if "Credential" in route:
            drawn = {**drawn, **self._a_holder(call, drawn["which"])}
        elif "{webhook_id}" in ROUTES[route][1]:
            drawn = {**drawn, **self._a_webhook(route, drawn["which"], drawn["stray"])}
        elif "{principal_id}" in ROUTES[route][1]:
            # Those who were made here are known by their ids.
            made = [name for name, person in self.model.people.items() if name == person.id]
            if route == "V1DeletePrincipal":
                projects = [*self.model.projects.values(), *self.model.deleted.values()]
                joined = {name for project in projects for name in project.members}
                alone = [name for name in made if name not in joined and not self.model.people[name].roles]
                drawn = {**drawn, "member": pick(alone or [NOTHING], drawn["which"])}
            else:
                drawn = {**drawn, "member": pick([*made[::-1], *PEOPLE], drawn["which"])}
        call = self._addressed(call, drawn)
        if drawn.get("if_match"):
            matched = {"now": f'"{self.model.version(call)}"', "old": f'"{self.model.version(call, before=1)}"'}
            call = replace(call, if_match=matched.get(drawn["if_match"], drawn["if_match"]))
        # A request that may have to be repeated needs a key.
        if "key" in drawn and (drawn["key"] or drawn["fault"]):
            call = replace(call, key=self._key())
            self.speaker.sent.append(call)
        answer = self._step(call, drawn["fault"])
        if drawn.get("key") == "and again":
            self._step(call)
        self.start.tally.asked[route] += 1
        self.start.tally.done[route] += answer.status < 300

    def _dated(self, fields: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """The moments, which were drawn in days from now, as times."""
        now = self.speaker.now()
        moments = {
            name: timestamp(now + timedelta(days=value))
            for name, value in (fields or {}).items()
            if name in ("expires_at", "since", "until") and value is not None
        }
        return fields and {**fields, **moments}

    def _a_holder(self, call: Call, which: int) -> dict[str, str]:
        """The caller, or a service; or a credential, mostly of the caller. The one that it sends is only read."""
        if "{credential_id}" not in ROUTES[call.route][1]:
            services = [name for name, person in self.model.people.items() if person.kind == "service"]
            return {"member": pick([call.by, *services[::-1], call.by, *PEOPLE], which)}
        latest = self.known.credentials[::-1]
        sent = [(call.by, self.model.people[call.by].sends)] if call.route == "V1GetCredential" else []
        own = [place for place in latest if place[0] == call.by]
        holder, credential = pick([*own, *own, *sent, *(place for place in latest if place[0] != call.by)], which)
        return {"member": holder, "note": credential}

    def _a_webhook(self, route: str, which: int, stray: str | None) -> dict[str, str]:
        """One of the latest that is not deleted, or one that is; or a delivery or a recovery of it."""
        webhooks = self.model.webhooks
        path = ROUTES[route][1]
        if "{event_id}" in path or "{job_id}" in path:
            known = (self.known.deliveries if "{event_id}" in path else self.known.recoveries)[::-1]
            alive = [place for place in known if place[0] in webhooks]
            webhook, note = pick([*alive[:6], *(place for place in known if place[0] not in webhooks), *known], which)
            # Of another webhook.
            other = pick(sorted(webhooks), which) if webhooks and stray == "project" else webhook
            return {"member": other, "note": note}
        latest = self.known.webhooks[::-1]
        there = [id for id in latest if id in webhooks]
        return {"member": pick([*there[:6], *(id for id in latest if id not in webhooks), *latest], which)}

    def _addressed(self, call: Call, drawn: Mapping[str, Any]) -> Call:
        """The call with an address: mostly of a created resource, which may be deleted by now."""
        path, which, stray = ROUTES[call.route][1], drawn["which"], drawn["stray"]
        project, item, note = pick(self.known.projects, which), "", ""
        for kind in KINDS:
            if f"{{{kind}_id}}" in path:
                project, item = pick(self.known.records[kind], which)
        if "{note_id}" in path:
            project, item, note = pick(self.known.notes, which)
        note = drawn.get("note", note)
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
        if "{space_id}" not in path:
            space = ""
        space = pick(self.known.spaces or ["acme/research"], which) if space == "made" else space
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

    # ------------------------------------------------------------ repeated requests, time, purges

    @precondition(lambda self: self.speaker.sent)
    @rule(which=st.integers(0, 9), fault=FAULT)
    def a_request_is_repeated(self, which: int, fault: tuple[str, str] | None) -> None:
        self._step(pick(self.speaker.sent, -1 - which), fault)

    @precondition(lambda self: self.speaker.sent)
    @rule(which=st.integers(0, 9), by=st.sampled_from([None, None, *CALLERS]))
    def a_key_is_used_for_another_request(self, which: int, by: str | None) -> None:
        """Another request of the same caller, or the same request of another caller."""
        call = pick(self.speaker.sent, -1 - which)
        if by is None and call.body and "name" in call.body:
            call = replace(call, body={**call.body, "name": "Another"})
        elif by is None and call.project:
            call = replace(call, project=NOTHING, body=call.body and {**call.body})
        elif by is None and call.space:
            call = replace(call, space="nowhere")
        elif by is None and call.item in self.known.webhooks:
            call = replace(call, item=NOTHING)
        self._step(replace(call, by=by or call.by))

    @precondition(lambda self: self._sent_by_the_outsider())
    @rule(which=st.integers(0, 9))
    def a_removed_member_repeats_a_request(self, which: int) -> None:
        """The outsider has no role in a space. After the removal it sees neither the project nor a replayed answer."""
        call = pick(self._sent_by_the_outsider(), -1 - which)
        project = self.model.projects[call.project]
        removed = Call("V1RemoveMember", space=project.space, project=project.id, item="outsider")
        self._step(removed)
        self._step(call)

    def _sent_by_the_outsider(self) -> list[Call]:
        return [call for call in self.speaker.sent if call.by == "outsider" and call.project in self.model.projects]

    @rule(which=WHICH, heir=st.integers(0, 9), fault=FAULT)
    def a_project_is_handed_over(self, which: int, heir: int, fault: tuple[str, str] | None) -> None:
        """To a member with a role below manager, if there is one. Random members rarely have one."""
        project = self.model.projects.get(pick(self.known.projects, which))
        if project is None:
            return
        below = [name for name, member in project.members.items() if member.role != "manager"]
        body = {"manager": pick(sorted(below or project.members), heir)}
        call = Call("V1UpdateProject", space=project.space, project=project.id, body=body, key=self._key())
        self.speaker.sent.append(call)
        self._step(call, fault)

    @rule(enrol=st.booleans(), fault=FAULT)
    def a_service_gets_a_credential(self, enrol: bool, fault: tuple[str, str] | None) -> None:
        service = Call("V1CreatePrincipal", body={"name": "Robot", "kind": "service"}, key=self._key())
        self.speaker.sent.append(service)
        answer = self._step(service)
        if answer.status == 201:
            body = {"kind": "api_key", "name": "Robot's", "enrol": enrol}
            call = Call("V1CreateCredential", item=flat_id(answer.body["id"]), body=body, key=self._key())
            self.speaker.sent.append(call)
            self._step(call, fault)

    @precondition(lambda self: self._webhooks_of_acme())
    @rule(which=st.integers(0, 2), days=st.sampled_from([1, 8]), fault=FAULT)
    def a_webhook_is_tested_on_two_days(self, which: int, days: int, fault: tuple[str, str] | None) -> None:
        """The list begins with the later delivery. The earlier one may have been given up, and is asked for again."""
        webhook = pick(self._webhooks_of_acme(), -1 - which)
        for own in (fault, None):
            call = Call("V1TestWebhook", item=webhook, key=self._key())
            self.speaker.sent.append(call)
            self._step(call, own)
            self.days_pass(days)
        self._step(Call("V1ListDeliveries", item=webhook, query={"limit": 1}))
        made = [event for place, event in self.known.deliveries if place == webhook]
        if made:
            call = Call("V1RedeliverEvent", item=webhook, note=made[0], key=self._key())
            self.speaker.sent.append(call)
            self._step(call)
            self._step(Call("V1ListDeliveries", item=webhook))

    def _webhooks_of_acme(self) -> list[str]:
        webhooks = self.model.webhooks
        return [id for id in self.known.webhooks if id in webhooks and webhooks[id].tenant == "acme"]

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
        with unhurried(), failing(fault) as client, pytest.MonkeyPatch.context() as patch:
            patch.setattr(streams, "SWEPT_AFTER", timedelta(days=-1000))
            try:
                purge()
            except Crash:
                client.revive()
                purge()
        self.model.deleted.clear()
        self.model.purge()
        assert list(queued(table())) == []
        assert self.start.rows_naming(self._gone()) == []
        self._is_whole = True

    def _gone(self) -> set[str]:
        """The ids of deleted spaces, projects, tasks and webhooks, and of credentials of deleted principals, whose rows
        are purged."""
        held = {id for holder, id in self.known.credentials if holder not in self.model.people}
        spaces = {id for name, id in self.model.spaces.items() if name not in self.model.places}
        tasks = {id for project in self.model.projects.values() for id in project.records["task"]}
        made = {id for _, id in self.known.records["task"]}
        webhooks = {*self.known.webhooks} - self.model.webhooks.keys()
        return {*self.known.projects} - self.model.projects.keys() | made - tasks | spaces | held | webhooks

    # ------------------------------------------------------------ the end

    def teardown(self) -> None:
        try:
            if self._is_whole:
                self._compare_everything()
                self.the_purge_runs("stream", None)
                summary = Check(table()).run()
                assert summary["clean"], summary
                assert not summary["unsettled"], summary
        finally:
            self._clock.undo()
            self.start.restore()

    def _compare_everything(self) -> None:
        say("comparison at the end")
        for by in ("owner", "outsider", "stranger"):
            self.speaker.ask(Call("ListProjects", by=by))
            for space in self.model.spaces:
                self.speaker.ask(Call("V1ListProjects", by=by, space=space))
        for holder in dict.fromkeys(holder for holder, _ in self.known.credentials):
            self.speaker.ask(Call("V1ListCredentials", item=holder, query={"limit": 100}))
        for by in ("owner", "stranger"):
            self.speaker.ask(Call("V1ListWebhooks", by=by, query={"limit": 100}))
        for webhook in dict.fromkeys(webhook for webhook, _ in self.known.deliveries):
            self.speaker.ask(Call("V1ListDeliveries", item=webhook, query={"limit": 100}))
        for project in list(self.model.projects.values()):
            by = "owner" if project.space.startswith("acme") else "stranger"
            asked = Call("GetReport", by=by, project=project.id)
            self.speaker.ask(asked)
            for route in ("V1GetProject", "V1ListMembers", *(f"V1List{kind.title()}s" for kind in KINDS)):
                self.speaker.ask(replace(asked, route=route, space=project.space))
            for task in project.records["task"]:
                self.speaker.ask(replace(asked, route="GetTask", item=task))


def arguments(route: str, method: str, path: str) -> dict[str, st.SearchStrategy[Any]]:
    """The random parts of a request of the route."""
    given: dict[str, st.SearchStrategy[Any]] = {
        "by": st.sampled_from(CALLERS),
        "which": WHICH,
        "stray": STRAY,
        "fault": FAULT,
    }
    if path.startswith("/v1/webhooks"):
        given["by"] = st.sampled_from(ADMINS)
    if route in BODIES or route in REQUIRED:
        given["body"] = BODIES[route] if route in BODIES else body(REQUIRED[route])
    if route in QUERIES:
        given["query"] = QUERIES[route]
    if "{member_id}" in path or "{user_id}" in path:
        given["member"] = st.sampled_from(MEMBERS)
    if "{space_id}" in path and "{project_id}" not in path:
        given["space"] = st.sampled_from(SPACES[bool(re.search("(Update|Add|Remove|Delete)Space", route))])
    if method != "GET":
        given["key"] = st.sampled_from([None, "one", "and again"])
        if route != "FindTeamMember":
            given["if_match"] = SELDOM if re.search("Create|Add", route) else IF_MATCH
    return given


# The spaces of requests; in the second line, of those that change or delete a space, or change its members. Roles in
# the default space, which most projects are in, are seldom taken away.
SPACES = (
    ["acme/default", "acme/research", "made", "globex/default", "nowhere"],
    [*["made", "acme/research"] * 4, "acme/default", "globex/default", "nowhere"],
)


def rule_of(route: str) -> Any:
    def step(self: Run, **drawn: Any) -> None:
        self.request(route, drawn)

    step.__name__ = route
    made: Any = rule
    return made(**arguments(route, *ROUTES[route]))(step)


for _route in OPERATIONS:
    setattr(Run, _route, rule_of(_route))


def pick(known: Sequence[T], which: int) -> T:
    """One of the known items. Those of the start come first."""
    return known[which % len(known)]


def in_the_other_dialect(call: Call) -> Call:
    """A request that shows a change in the other dialect."""
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
        return replace(asked, route="ListTaskNotes" if v1 else "V1ListTaskNotes", item=call.item)
    return replace(asked, route="ListProjects" if v1 else "V1ListProjects")


def set_clock(patch: pytest.MonkeyPatch, ahead: timedelta) -> None:
    """Sets the clock of the API ahead of the real one."""
    seconds = ahead.total_seconds()
    moments = SimpleNamespace(now=lambda zone: datetime.now(zone) + ahead)
    clock = SimpleNamespace(time=lambda: time.time() + seconds, time_ns=lambda: time.time_ns() + int(seconds * 1e9))
    for module, name, value in (
        (work, "datetime", moments),
        (records, "datetime", moments),
        (keyring, "datetime", moments),
        (work, "time", clock),
        (ids, "time", clock),
    ):
        patch.setattr(module, name, value)
