"""Events are delivered to webhooks: begun once, attempted by a schedule, until they arrive or are given up."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import pytest

from tests.support.client import A_MOMENT, World
from tests.support.mill import Mill, body_of
from tests.support.receiver import Received, Receiver, receivers
from tests.support.webhooks import HOUR, MINUTE, deliveries, new_webhook, proven, verified


def test_event_arrives_signed_as_the_ledger_has_it(world: World, mill: Mill, one: Receiver) -> None:
    webhook = new_webhook(world, url=one.url, events=["project.*"])
    mill.skip()
    world.new_project()
    mill.feed()
    mill.settle()
    (got,) = one.received
    assert body_of(got) == world("GET", f"/v1/events/{got.id}").body
    assert got.headers["content-type"] == "application/json"
    assert abs(int(got.headers["webhook-timestamp"]) - mill.now) <= 1
    assert verified(got, webhook["secret"])
    assert deliveries(world, webhook) == [
        {
            "event_id": got.id,
            "type": "project.created",
            "status": "delivered",
            "attempts": 1,
            "next_attempt_at": None,
            "last_status": 200,
            "last_error": None,
            "created_at": A_MOMENT,
        }
    ]


def test_only_events_that_match_are_delivered(world: World, mill: Mill) -> None:
    """By type, by the beginning of one, by space and by project."""
    project, other = world.new_project(), world.new_project(space="research")
    space = world.space("research").rpartition("/")[2]
    wants: list[dict[str, Any]] = [
        {"events": ["task.created"]},
        {"events": ["task.*", "note.created"]},
        {"events": ["*"], "space_ids": [space]},
        {"events": ["*"], "project_ids": [project.rpartition("/")[2]]},
        {"events": ["space.*"]},
    ]
    with receivers(len(wants)) as them:
        for receiver, body in zip(them, wants, strict=True):
            new_webhook(world, url=receiver.url, **body)
        mill.skip()
        task = world.new_record(project, "tasks")
        assert world("PATCH", task, {"name": "B"}).status == 200
        world.new_record(other, "tasks")
        mill.feed()
        mill.settle()
        # Waiting deliveries are attempted a few at a time, in no order.
        got = [sorted(body_of(each)["type"] for each in receiver.received) for receiver in them]
    created, updated = "task.created", "task.updated"
    assert got == [[created] * 2, [created, created, updated], [created], [created, updated], []]


def test_delivery_is_attempted_by_the_schedule_and_given_up_after_the_tenth(
    world: World, mill: Mill, one: Receiver
) -> None:
    """Each failure is followed by a success of another event, so that the circuit stays closed."""
    webhook = proven(mill, world, one)
    doomed: set[str] = set()
    one.answer = lambda got: 500 if got.id in doomed else 200
    world.new_project()
    (event,) = mill.feed()
    doomed.add(f"{event[:8]}-{event[8:12]}-8000-8000-{event[12:]}")
    moments: list[float] = []
    for _ in range(10):
        seen = len(one.received)
        while len(one.received) == seen:
            mill.step()
        moments.append(mill.now)
        world.new_project()
        mill.feed()
        mill.settle()
    waited = [later - earlier for earlier, later in pairwise(moments)]
    wanted = [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]
    # A fifth sooner at most, and what the sweep takes, which runs once a minute.
    for seconds, most in zip(waited, wanted, strict=True):
        assert 0.8 * most - 1 <= seconds <= most + MINUTE, waited
    mine = [got for got in one.received if got.id in doomed]
    assert len(mine) == 10
    assert len({got.body for got in mine}) == 1
    assert len({got.headers["webhook-timestamp"] for got in mine}) == 10
    assert all(verified(got, webhook["secret"]) for got in mine)
    (failed,) = deliveries(world, webhook, "&status=failed")
    assert (failed["attempts"], failed["last_status"], failed["next_attempt_at"]) == (10, 500, None)
    assert failed["last_error"] == "refused"
    mill.run(80 * HOUR)
    assert len([got for got in one.received if got.id in doomed]) == 10


@pytest.mark.parametrize("as_date", [False, True])
def test_receiver_that_asks_for_time_is_left_in_peace(world: World, mill: Mill, one: Receiver, as_date: bool) -> None:
    proven(mill, world, one)
    asked = str(2 * HOUR)[:-2]
    if as_date:
        asked = format_datetime(datetime.fromtimestamp(mill.now, UTC) + timedelta(hours=2), usegmt=True)
    one.answer = lambda got: (503, {"Retry-After": asked}) if len(one.received) == 1 else 200
    world.new_project()
    mill.feed()
    mill.settle()
    mill.run(2 * HOUR - MINUTE)
    assert len(one.received) == 1
    mill.run(3 * MINUTE)
    assert len(one.received) == 2


def test_request_for_more_than_a_day_is_heeded_for_a_day(world: World, mill: Mill, one: Receiver) -> None:
    proven(mill, world, one)
    one.answer = lambda got: (429, {"Retry-After": "999999"}) if len(one.received) == 1 else 200
    world.new_project()
    mill.feed()
    mill.settle()
    mill.run(24 * HOUR - MINUTE)
    assert len(one.received) == 1
    mill.run(3 * MINUTE)
    assert len(one.received) == 2


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (302, 302, "refused"),
        (404, 404, "refused"),
        ("close", None, "no_http"),
        ("garbage", None, "no_http"),
    ],
)
def test_anything_but_2xx_is_a_failure_with_a_word(
    world: World, mill: Mill, one: Receiver, answer: Any, status: int | None, error: str
) -> None:
    webhook = proven(mill, world, one)
    one.answer = lambda got: (302, {"Location": one.url}) if answer == 302 else answer
    world.new_project()
    mill.feed()
    mill.settle()
    assert len(one.received) == 1
    *_, last = deliveries(world, webhook)
    assert (last["status"], last["attempts"], last["last_status"], last["last_error"]) == ("pending", 1, status, error)
    assert last["next_attempt_at"] == A_MOMENT


def test_gone_disables_the_webhook_at_once(world: World, mill: Mill, one: Receiver) -> None:
    webhook = proven(mill, world, one)
    one.answer = lambda _: 410
    world.new_project()
    mill.feed()
    mill.settle()
    assert world("GET", webhook["path"]).body["status"] == "disabled"
    (told,) = world("GET", "/v1/events?type=webhook.disabled").body["data"]
    assert (told["resource"]["reason"], told["resource"]["status"]) == ("gone", "disabled")
    assert told["actor"]["kind"] == "operator"
    world.new_project()
    mill.feed()
    mill.run(24 * HOUR)
    assert len(one.received) == 1


def test_five_failures_in_a_row_leave_one_probe_at_a_time_until_one_arrives(
    world: World, mill: Mill, one: Receiver
) -> None:
    webhook = proven(mill, world, one)
    one.answer = lambda _: 500
    for _ in range(8):
        world.new_project()
    mill.feed()
    mill.settle()
    assert len(one.received) == 5
    shown = world("GET", webhook["path"]).body
    assert (shown["status"], shown["health"]) == ("active", "failing")
    probes = []
    for _ in range(6):
        seen = len(one.received)
        began = mill.now
        while len(one.received) == seen:
            mill.step()
        probes.append(mill.now - began)
    for waited, wanted in zip(probes, [5, MINUTE, 5 * MINUTE, *[15 * MINUTE] * 3], strict=True):
        assert wanted <= waited <= 1.05 * wanted + MINUTE, probes
    assert len({got.id for got in one.received[5:]}) == 1, "the oldest that waits"
    one.answer = lambda _: 200
    mill.run(16 * MINUTE)
    assert {each["status"] for each in deliveries(world, webhook)} == {"delivered"}
    assert len(one.accepted) == 9
    assert world("GET", webhook["path"]).body["health"] == "ok"
    mill.invoked.clear()
    mill.run(24 * HOUR)
    assert mill.invoked["DeliverEvents"] == 0, "nothing is left"


def test_webhook_that_never_answered_gets_one_attempt_a_minute(world: World, mill: Mill, one: Receiver) -> None:
    new_webhook(world, url=one.url)
    moments: list[float] = []

    def refuse(_: Received) -> int:
        moments.append(mill.now)
        return 500

    one.answer = refuse
    mill.skip()
    for _ in range(4):
        world.new_project()
    mill.feed()
    mill.run(5 * MINUTE)
    assert len(moments) >= 3
    assert min(later - earlier for earlier, later in pairwise(moments)) >= MINUTE, moments


def test_paused_webhook_gets_nothing_and_recovers_what_it_missed(world: World, mill: Mill, one: Receiver) -> None:
    webhook = proven(mill, world, one, events=["project.*"])
    since = datetime.fromtimestamp(mill.now, UTC).isoformat()
    mill.now += 1
    assert mill.request("PATCH", webhook["path"], {"status": "paused"}).status == 200
    missed = []
    for _ in range(3):
        with mill.moment_told():
            world.new_project()
        missed += mill.feed()
    mill.run(HOUR)
    assert one.received == []
    assert mill.request("PATCH", webhook["path"], {"status": "active"}).status == 200
    mill.feed()
    mill.run(HOUR)
    assert one.received == [], "what was missed waits until it is asked for"
    answer = mill.request("POST", f"{webhook['path']}/recover", {"since": since})
    assert (answer.status, answer.body["status"], answer.body["done"]) == (202, "running", 0)
    mill.feed()
    mill.run(MINUTE)
    assert len(one.received) == 3
    job = world("GET", f"{webhook['path']}/recoveries/{answer.body['id']}").body
    assert (job["status"], job["recovered"], job["finished_at"]) == ("done", 3, A_MOMENT)
    assert job["total"] == job["done"] >= 3
    again = mill.request("POST", f"{webhook['path']}/recover", {"since": since})
    assert again.status == 202
    mill.feed()
    mill.run(MINUTE)
    assert len(one.received) == 3, "what was delivered is not sent again"


def test_delivery_is_sent_again_under_its_id(world: World, mill: Mill, one: Receiver) -> None:
    webhook = proven(mill, world, one)
    world.new_project()
    mill.feed()
    mill.settle()
    (first,) = one.received
    answer = mill.request("POST", f"{webhook['path']}/deliveries/{first.id}/redeliver", {})
    assert (answer.status, answer.body["status"], answer.body["attempts"]) == (202, "pending", 1)
    mill.feed()
    mill.settle()
    ids = [got.id for got in one.received]
    assert ids.count(first.id) == 2
    shown = world("GET", f"{webhook['path']}/deliveries/{first.id}").body
    assert (shown["status"], shown["attempts"]) == ("delivered", 2)


def test_redelivery_whose_event_is_lost_is_found_by_the_sweep(world: World, mill: Mill, one: Receiver) -> None:
    webhook = proven(mill, world, one)
    world.new_project()
    mill.feed()
    mill.settle()
    (first,) = one.received
    assert mill.request("POST", f"{webhook['path']}/deliveries/{first.id}/redeliver", {}).status == 202
    mill.skip()
    mill.run(2 * MINUTE)
    assert [got.id for got in one.received] == [first.id] * 2


def test_rotation_signs_with_both_secrets_until_the_older_one_ends(world: World, mill: Mill, one: Receiver) -> None:
    webhook = proven(mill, world, one)

    def sent() -> Received:
        with mill.moment_told():
            world.new_project()
        mill.feed()
        mill.settle()
        return one.received[-1]

    rotated = mill.request("POST", f"{webhook['path']}/rotate", {"overlap_seconds": 3_600}).body
    assert (rotated["secret_version"], rotated["secret"] != webhook["secret"]) == (2, True)
    within = sent()
    assert [verified(within, secret) for secret in (webhook["secret"], rotated["secret"])] == [True, True]
    again = mill.request("POST", f"{webhook['path']}/rotate", {"overlap_seconds": 60})
    assert (again.status, again.headers["x-error-code"]) == (409, "rotated_already")
    mill.run(HOUR + 1)
    after = sent()
    assert [verified(after, secret) for secret in (webhook["secret"], rotated["secret"])] == [False, True]
    now = mill.request("POST", f"{webhook['path']}/rotate", {"overlap_seconds": 0}).body
    last = sent()
    assert [verified(last, each["secret"]) for each in (rotated, now)] == [False, True]


def test_secret_is_told_by_creation_rotation_and_their_replays_alone(world: World) -> None:
    body = {"url": "https://hooks.example.com/", "events": ["*"]}
    made, again = (world("POST", "/v1/webhooks", body, key="once") for _ in range(2))
    assert (again.replayed, again.content) == (True, made.content)
    path = f"/v1/webhooks/{made.body['id']}"
    for answer in (world("GET", path), world("PATCH", path, {"description": "B"})):
        assert "secret" not in answer.body
    assert "whsec_" not in world("GET", "/v1/webhooks").content.decode()
    rotated, once_more = (world("POST", f"{path}/rotate", {}, key="twice") for _ in range(2))
    assert (once_more.replayed, once_more.content) == (True, rotated.content)
    assert world.table is not None
    rows = json.dumps([*world.table.items().values()])
    assert made.body["secret"].removeprefix("whsec_") not in rows
    assert "whsec_" not in rows


def test_event_whose_ledger_row_is_gone_is_given_up(world: World, mill: Mill, one: Receiver) -> None:
    webhook = proven(mill, world, one)
    one.answer = lambda _: 500
    world.new_project()
    (event,) = mill.feed()
    mill.settle()
    mill.forget(event)
    mill.run(MINUTE)
    *_, last = deliveries(world, webhook)
    assert (last["status"], last["last_error"], last["attempts"]) == ("failed", "event_gone", 1)
    assert len(one.received) == 1


def test_deleted_webhook_gets_nothing_more(world: World, mill: Mill, one: Receiver) -> None:
    webhook = proven(mill, world, one)
    one.answer = lambda _: 500
    world.new_project()
    mill.feed()
    mill.settle()
    assert world("DELETE", webhook["path"]).status == 204
    world.new_project()
    mill.feed()
    mill.run(80 * HOUR)
    assert len(one.received) == 1
    assert mill.due() == []
