"""Two requests about webhooks at the same time: limits hold, and of two that exclude each other one is refused."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import Answer, World
from tests.support.webhooks import a_test, new_url, new_webhook
from tests.support.world import BeforeCommit


def told(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.headers.get("x-error-code", "")


def meeting(
    world: World, before_commit: BeforeCommit, first: Callable[[World], Answer], second: Callable[[World], Answer]
) -> list[tuple[int, str]]:
    """The answers of both where the first one commits between what the second one reads and its commit."""
    answers: list[Answer] = []

    def meet(other: World) -> Answer:
        answers.append(first(other))
        return answers[-1]

    before_commit(meet)
    answers.append(second(world))
    return [told(answer) for answer in answers]


def post(path: str, body: Any) -> Callable[[World], Answer]:
    return lambda world: world("POST", path, body)


def test_of_two_creations_of_the_twentieth_webhook_one_is_refused(world: World, before_commit: BeforeCommit) -> None:
    for _ in range(19):
        assert world("POST", "/v1/webhooks", {"url": new_url(), "events": ["*"]}).status == 201
    create = [post("/v1/webhooks", {"url": new_url(), "events": ["*"]}) for _ in range(2)]
    assert meeting(world, before_commit, *create) == [(201, ""), (409, "too_many_webhooks")]
    assert len(world("GET", "/v1/webhooks?limit=100").body["data"]) == 20


def test_creation_is_refused_while_the_rows_of_deleted_webhooks_fill_what_one_query_reads(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a query always reads the newest webhook, too. Deleted ones have a row until they are purged."""
    before = len(world("GET", "/v1/webhooks?limit=100").body["data"])
    monkeypatch.setattr("atrium.store.webhooks._MOST_ROWS", before + 3)
    create = post("/v1/webhooks", {"url": new_url(), "events": ["*"]})
    for _ in range(2):
        assert world("DELETE", f"/v1/webhooks/{create(world).body['id']}").status == 204
    last = create(world)
    assert last.status == 201
    refused = create(world)
    assert told(refused) == (409, "too_many_webhooks")
    assert refused.body["detail"] == "Too many webhooks were deleted a moment ago. Try again in a minute."
    assert [each["id"] for each in world("GET", "/v1/webhooks?limit=100").body["data"]][-1] == last.body["id"]


def test_of_two_webhooks_that_become_the_third_at_a_host_one_is_refused(
    world: World, before_commit: BeforeCommit
) -> None:
    url = new_url()
    for _ in range(2):
        new_webhook(world, url=url)
    moved = new_webhook(world)["path"]
    first, second = post("/v1/webhooks", {"url": url, "events": ["*"]}), lambda w: w("PATCH", moved, {"url": url})
    assert meeting(world, before_commit, first, second) == [(201, ""), (409, "too_many_webhooks")]
    urls = Counter(each["url"] for each in world("GET", "/v1/webhooks?limit=100").body["data"])
    assert urls[url] == 3


def test_of_two_tests_in_a_minute_one_is_refused(world: World, before_commit: BeforeCommit) -> None:
    path = new_webhook(world)["path"]
    test = post(f"{path}/test", {})
    assert meeting(world, before_commit, test, test) == [(202, ""), (409, "webhook_tested_recently")]
    assert len(world("GET", f"{path}/deliveries").body["data"]) == 1


def test_of_two_recoveries_one_is_refused(world: World, before_commit: BeforeCommit) -> None:
    path = new_webhook(world)["path"]
    recover = post(f"{path}/recover", {"since": "2026-01-01"})
    assert meeting(world, before_commit, recover, recover) == [(202, ""), (409, "recovery_running")]


def test_of_two_rotations_one_is_refused_while_the_other_overlaps(world: World, before_commit: BeforeCommit) -> None:
    path = new_webhook(world)["path"]
    rotate = post(f"{path}/rotate", {"overlap_seconds": 60})
    assert meeting(world, before_commit, rotate, rotate) == [(200, ""), (409, "rotated_already")]
    assert world("GET", path).body["secret_version"] == 2


def test_of_two_changes_both_take_effect(world: World, before_commit: BeforeCommit) -> None:
    path = new_webhook(world)["path"]
    one, other = ({"description": "B"}, {"events": ["task.*"]})
    changes = [lambda w, body=body: w("PATCH", path, body) for body in (one, other)]
    assert meeting(world, before_commit, *changes) == [(200, ""), (200, "")]
    shown = world("GET", path)
    assert (shown.body | one | other, shown.version) == (shown.body, 3)


def test_change_after_a_deletion_finds_nothing(world: World, before_commit: BeforeCommit) -> None:
    path, delivery = a_test(world)
    again = post(f"{path}/deliveries/{delivery['event_id']}/redeliver", {})
    assert meeting(world, before_commit, lambda w: w("DELETE", path), again) == [(204, ""), (404, "webhook_not_found")]
    assert world("GET", path).status == 404


def test_redelivery_during_another_is_made_once(world: World, before_commit: BeforeCommit) -> None:
    path, delivery = a_test(world)
    again = post(f"{path}/deliveries/{delivery['event_id']}/redeliver", {})
    assert meeting(world, before_commit, again, again) == [(202, ""), (202, "")]
    (only,) = world("GET", f"{path}/deliveries").body["data"]
    assert (only["status"], only["attempts"]) == ("pending", 0)
