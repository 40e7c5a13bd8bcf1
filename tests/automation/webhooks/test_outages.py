"""Receivers that are gone for days, that hang or fail, and functions that are killed: no event is lost."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from atrium import outbound
from atrium.store import circuit
from atrium.store.webhook_queues import Due
from tests.support.client import World, flat_id, v1_id
from tests.support.clock import NET
from tests.support.mill import Killed, Mill
from tests.support.receiver import Received, Receiver, receivers
from tests.support.webhooks import HOUR, MINUTE, deliveries, new_webhook, proven, verified
from tests.support.world import Count, full

DAY = 24 * HOUR
SEED = 7


@pytest.fixture
def fewer_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """In `make test` every two hours for every quarter of one: each takes some twenty calls to the table."""
    monkeypatch.setattr(circuit, "PROBES", (*circuit.PROBES[:3], 60.0 * full(120, 15)))


def happen(world: World, mill: Mill, count: int) -> list[str]:
    """So many events at the mill's moment; their ids in v1."""
    with mill.moment_told():
        for _ in range(count):
            world.new_project()
    return [f"{id[:8]}-{id[8:12]}-8000-8000-{id[12:]}" for id in mill.feed()]


@pytest.mark.usefixtures("fewer_probes")
def test_after_72_hours_of_failures_every_event_arrives_under_its_id_without_a_person(
    world: World, mill: Mill, one: Receiver, count: Count
) -> None:
    webhook = proven(mill, world, one)
    one.answer = lambda _: 503
    events: list[str] = []
    for _ in range(full(12, 72)):
        events += happen(world, mill, 1)
        mill.run(72 * HOUR / full(12, 72))
    one.answer = lambda _: 200
    attempts = len(one.received)
    mill.run(3 * HOUR)
    assert Counter(one.accepted[1:]) == Counter(events), "each once"
    for got in one.received:
        assert verified(got, webhook["secret"])
    bodies: dict[str, set[bytes]] = {}
    stamps: dict[str, list[str]] = {}
    for got in one.received:
        bodies.setdefault(got.id, set()).add(got.body)
        stamps.setdefault(got.id, []).append(got.headers["webhook-timestamp"])
    assert all(len(each) == 1 for each in bodies.values())
    assert all(len(set(each)) == len(each) for each in stamps.values()), "a fresh timestamp at each attempt"
    shown = world("GET", webhook["path"]).body
    assert (shown["status"], shown["health"]) == ("active", "ok")
    count(events=len(events), attempts=attempts)


@pytest.mark.usefixtures("fewer_probes")
def test_after_five_days_of_failures_the_webhook_is_disabled_and_recovers_all(
    world: World, mill: Mill, one: Receiver, count: Count
) -> None:
    webhook = proven(mill, world, one)
    since = datetime.fromtimestamp(mill.now, UTC).isoformat()
    mill.now += 1
    one.answer = lambda _: "close"
    events: list[str] = []
    while world("GET", webhook["path"]).body["status"] == "active":
        events += happen(world, mill, 1)
        mill.run(12 * HOUR)
        assert len(events) < 20
    assert 5 * DAY <= len(events) * 12 * HOUR <= 5 * DAY + 12 * HOUR
    (told,) = world("GET", "/v1/events?type=webhook.disabled").body["data"]
    assert (told["resource"]["reason"], told["resource"]["host"]) == ("failing", "127.0.0.1")
    attempts = len(one.received)
    mill.feed()
    events += happen(world, mill, 1)
    mill.run(DAY)
    assert len(one.received) == attempts, "nothing is delivered any more"
    one.answer = lambda _: 200
    assert mill.request("PATCH", webhook["path"], {"status": "active"}).status == 200
    job = mill.request("POST", f"{webhook['path']}/recover", {"since": since}).body
    mill.feed()
    mill.run(HOUR)
    assert {*events} <= {*one.accepted}
    assert max(Counter(one.accepted).values()) == 1
    assert world("GET", f"{webhook['path']}/recoveries/{job['id']}").body["status"] == "done"
    count(events=len(events), attempts=attempts)


def test_failing_webhook_made_active_again_gets_what_waits_before_the_next_sweep(
    world: World, mill: Mill, one: Receiver
) -> None:
    webhook = proven(mill, world, one)
    one.answer = lambda _: 500
    events = happen(world, mill, 5)
    mill.run(HOUR)
    assert world("GET", webhook["path"]).body["health"] == "failing"
    one.answer = lambda _: 200
    assert mill.request("PATCH", webhook["path"], {"status": "paused"}).status == 200
    assert mill.request("PATCH", webhook["path"], {"status": "active"}).status == 200
    mill.feed()
    mill.settle()
    assert {*events} <= {*one.accepted}
    assert world("GET", webhook["path"]).body["health"] == "ok"


def test_changes_of_the_url_of_a_webhook_that_never_answered_bring_no_attempt_before_the_next_sweep(
    world: World, mill: Mill, one: Receiver
) -> None:
    webhook = new_webhook(world, url=one.url)
    one.answer = lambda _: 500
    mill.feed()
    mill.run(MINUTE)
    mill.now += 1
    attempts = len(one.received)
    assert attempts >= 1
    for path in ("a", "b", "c"):
        assert mill.request("PATCH", webhook["path"], {"url": f"{one.url}{path}"}).status == 200
        mill.feed()
        mill.settle()
    assert len(one.received) == attempts
    mill.run(MINUTE)
    assert len(one.received) == attempts + 1


@pytest.mark.timeout(1_200)
def test_dead_webhook_with_many_waiting_costs_at_most_100_invocations_a_day(
    world: World, mill: Mill, one: Receiver, count: Count
) -> None:
    """In `make test` a few hours, and as large a part of the 100."""
    webhook = proven(mill, world, one)
    one.answer = lambda _: 500
    events = happen(world, mill, 5)
    mill.settle()
    many, hours = full(1_000, 100_000), full(6, 24)
    mill.copy_waiting(webhook["path"], events[-1], many)
    mill.run(HOUR)
    mill.invoked.clear()
    mill.run(hours * HOUR)
    assert mill.invoked["DeliverEvents"] <= 100 * hours / 24
    assert mill.invoked["FanOutEvents"] == 0
    assert len(mill.due()) == 1
    count(waiting=many, hours=hours, invocations=mill.invoked["DeliverEvents"])


@pytest.mark.timeout(1_800)
def test_healthy_webhooks_get_all_in_the_company_of_bad_ones_and_killed_functions(
    world: World, mill: Mill, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    """Of 20 webhooks 5 hang, 5 answer 500 and 5 close the connection; a twentieth of the invocations is killed. After
    each of these the lane waits for four minutes, as the template has it, so 1,000 events take some two hours."""
    hours = full(1, 4)
    answers: list[Any] = [*[200] * 5, *["hang"] * 5, *[500] * 5, *["close"] * 5]
    killing = Killing()
    with receivers(20) as them:
        hooks = [proven_at(world, receiver) for receiver in them]
        mill.feed()
        mill.settle()
        for receiver, answer in zip(them, answers, strict=True):
            receiver.answer = partial(said, answer)
            receiver.received.clear()
        hanging = [hook["id"] for hook, answer in zip(hooks, answers, strict=True) if answer == "hang"]

        def before(name: str) -> None:
            killing(name)
            hurry(mill, hanging, monkeypatch)

        mill.before = before
        events = happen(world, mill, full(100, 1_000))
        mill.run(hours * HOUR)
        mill.before = lambda _: None
        monkeypatch.setattr(outbound, "SECONDS", float(NET))
        for receiver, answer in zip(them, answers, strict=True):
            if answer == 200:
                assert {*receiver.accepted[1:]} == {*events}
            else:
                # Until the circuit opens one attempt for each failure that it takes, then probes.
                first, probes = 3 if answer == "hang" else 5, 5 + 4 * hours
                assert len(receiver.received) <= first + probes + killing.killed, answer
        attempts = sum(len(receiver.received) for receiver in them)
        for receiver in them:
            receiver.answer = partial(said, 200)
        mill.run(HOUR)
        for receiver, hook in zip(them, hooks, strict=True):
            assert {*receiver.accepted[1:]} == {*events}, "0 lost"
            assert {each["status"] for each in deliveries(world, hook)} == {"delivered"}
    count(events=len(events), attempts=attempts, killed=killing.killed)


def test_healthy_webhooks_get_all_within_twice_the_time_that_they_need_alone(
    world: World, mill: Mill, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    """In a time in which an answer takes a tenth of a second and a hanging one fifteen seconds."""
    needed = [
        in_company(world, mill, monkeypatch, [*[200] * 5, *bad], full(12, 100))
        for bad in ([], [*["hang"] * 5, *[500] * 5, *["close"] * 5])
    ]
    alone, together = needed
    assert 0 < together <= 2 * alone, needed
    count(milliseconds_alone=round(1_000 * alone), milliseconds_together=round(1_000 * together))


def in_company(world: World, mill: Mill, patch: pytest.MonkeyPatch, answers: Sequence[Any], events: int) -> float:
    """How many seconds the webhooks that answer with success need for so many events at once, for each event in the
    fullest lane: which events share one is chance.
    """
    with receivers(len(answers)) as them:
        hooks = [proven_at(world, receiver) for receiver in them]
        mill.feed()
        mill.settle()
        began, arrived = mill.now, [0.0]
        for receiver, answer in zip(them, answers, strict=True):
            receiver.answer = partial(after_a_while, mill, arrived, answer)
            receiver.received.clear()
        hanging = [hook["id"] for hook, answer in zip(hooks, answers, strict=True) if answer == "hang"]
        mill.before = lambda _: hurry(mill, hanging, patch)
        happened = happen(world, mill, events)
        mill.run_at_once(2 * MINUTE)
        for receiver, answer in zip(them, answers, strict=True):
            assert answer != 200 or {*receiver.accepted[1:]} == {*happened}
        for hook in hooks:
            assert world("DELETE", hook["path"]).status == 204
        mill.skip()
        lanes = Counter(Due("", "", flat_id(event)).lane for event in happened)
        return (max(arrived) - began) / max(lanes.values())


def hurry(mill: Mill, hanging: Sequence[str], patch: pytest.MonkeyPatch) -> None:
    """Has the invocation wait for a moment only where its webhook is one of those that hang; for another as long as the
    machine needs.
    """
    webhook = json.loads(mill.event["Records"][0]["body"]).get("webhook") if mill.event else None
    patch.setattr(outbound, "SECONDS", 0.02 if webhook and v1_id(webhook) in hanging else float(NET))


def after_a_while(mill: Mill, arrived: list[float], answer: Any, _: Received) -> Any:
    mill.took += 15.0 if answer == "hang" else 0.1
    if answer == 200:
        arrived.append(mill.now + mill.took)
    return answer


def proven_at(world: World, receiver: Receiver) -> Any:
    """A webhook whose test is under way."""
    answer = world("POST", "/v1/webhooks", {"url": receiver.url, "events": ["project.*"]})
    assert answer.status == 201, answer
    path = f"/v1/webhooks/{answer.body['id']}"
    assert world("POST", f"{path}/test", {}).status == 202
    return {**answer.body, "path": path}


def said(answer: Any, _: Received) -> Any:
    return answer


class Killing:
    """Kills one in twenty invocations, before its first step."""

    def __init__(self) -> None:
        self._chance = random.Random(SEED)
        self.killed = 0

    def __call__(self, name: str) -> None:
        if self._chance.random() < 0.05:
            self.killed += 1
            raise Killed


@pytest.mark.parametrize("name", ["FanOutEvents", "DeliverEvents"])
def test_function_that_dies_at_any_call_loses_no_event(
    world: World, mill: Mill, one: Receiver, name: str, count: Count
) -> None:
    """At each call to the table in turn, before it and after it; the receiver fails first, then answers."""
    deaths = 0
    webhook = proven(mill, world, one)
    for place in range(full(4, 14)):
        for after in (False, True):
            one.answer = lambda _: 500
            with mill.dying(name, place, after=after) as died:
                events = happen(world, mill, 6)
                mill.run(2 * MINUTE)
            deaths += died()
            one.answer = lambda _: 200
            mill.run(20 * MINUTE)
            assert {*events} <= {*one.accepted}, (place, after)
            assert mill.due() == [], (place, after)
            assert world("GET", webhook["path"]).body["health"] == "ok"
    assert deaths >= full(4, 14)
    count(deaths=deaths)
