"""The list of events: its order, pages and filters, and where a page ends."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from atrium import keys
from atrium.ids import lowest_number
from atrium.models import timestamp
from atrium.settings import settings
from atrium.store.engine import table as tables
from atrium.store.engine.scope import scope
from atrium.store.ledger import number
from local.template import Template
from tests.support.capacity import Meter
from tests.support.client import World, v1_id
from tests.support.feed import Now, add, events, ids, ledger, pages, tenant_of, types
from tests.support.rows import rows_here
from tests.support.world import full, inline

# Rows past the API, in a test of the costs of a page; as many in each partition, which is more than a page.
FEW, MANY = 100, full(2_000, 100_000)


def keep_for(patch: pytest.MonkeyPatch, days: int) -> None:
    patch.setenv("EVENT_DAYS", str(days))
    settings.cache_clear()


# ---------------------------------------------------------------- what an event looks like


def test_event_is_shown_as_on_the_bus_and_without_a_number_until_it_has_one(world: World, now: Now) -> None:
    tenant = tenant_of(world)
    made = world("POST", world.projects(), {"name": "Apollo"})
    project = made.body["id"]
    (id,) = ledger(world)[-1:]
    with scope(tenant):
        row = tables.table().get(keys.event(tenant, id))
    assert row is not None
    told = {
        "id": v1_id(id),
        "type": "project.created",
        "time": now.ago(),
        "tenant_id": v1_id(tenant),
        "space_id": v1_id(tenant),
        "project_id": project,
        "request_id": made.headers["x-request-id"],
        "actor": {
            "principal_id": world.uuid("owner"),
            "kind": "user",
            "credential_id": v1_id(row["credential"]),
            "issued_by": None,
        },
        "resource": {
            "id": project,
            "tenant_id": v1_id(tenant),
            "space_id": v1_id(tenant),
            "name": "Apollo",
            "manager_id": world.uuid("owner"),
            "created_by": world.uuid("owner"),
            "status": "active",
            "created_at": now.ago(),
            "updated_at": now.ago(),
            "description": None,
        },
    }
    meta = {"has_more": False, "next_cursor": None, "watermark": now.ago(seconds=30)}
    assert events(world, project_id=project).seen == (200, {"data": [told], "meta": meta})
    assert world("GET", f"/v1/events/{v1_id(id)}").seen == (200, told)
    number(tables.table(), tenant, id, 1)
    numbered = told | {"sequence": 1}
    assert events(world, project_id=project).seen == (200, {"data": [numbered], "meta": meta})
    answer = world("GET", f"/v1/events/{v1_id(id)}")
    assert answer.seen == (200, numbered)
    assert list(answer.body) == [*list(told)[:6], "sequence", *list(told)[6:]]


def test_update_names_what_changed_and_a_long_text_is_omitted(world: World, now: Now) -> None:
    project = world.new_project()
    assert world("PATCH", project, {"description": "x" * 32_000}).status == 200
    (updated, _) = events(world, project_id=project.rpartition("/")[2]).body["data"]
    assert (updated["changed"], updated["omitted"]) == (["description"], ["description"])
    assert "description" not in updated["resource"]


# ---------------------------------------------------------------- order and pages


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_show_each_event_once_in_order_from_all_partitions(world: World, now: Now, order: str) -> None:
    project = world.new_project()
    for step in range(24):
        now.passes(milliseconds=step % 3)
        world.new_record(project, "tasks")
    now.passes(minutes=1)
    stored = ledger(world)
    assert Counter(keys.event("", id).pk for id in stored).keys() == set(keys.ledger_shards(""))
    expected = [v1_id(id) for id in (stored if order == "asc" else reversed(stored))]
    for limit in (1, 3, 7, 100):
        found = list(pages(world, order=order, limit=limit))
        assert [event["id"] for page in found for event in page["data"]] == expected
        assert {len(page["data"]) for page in found[:-1]} <= {limit}
        last = found[-1]["meta"]
        assert (last["next_cursor"] is None) == (order == "desc")


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_page_ends_where_the_first_partition_was_read_to_its_end(world: World, now: Now, order: str) -> None:
    """One partition of which more is left ends before the wanted event, another one far behind it."""
    world.new_project()
    (model,) = ledger(world)[-1:]
    start = now.ago()
    wanted: dict[str, Any] = {"type": {"S": "project.deleted"}}
    rare = ""
    for shard, count in ((2, 260), (0, 260), (0, 1), (1, 260), (0, 260)):
        now.passes(seconds=1)
        made = add(world, model, count, now.milliseconds, shard, **(wanted if count == 1 else {}))
        rare = made[0] if count == 1 else rare
    now.passes(minutes=1)
    assert ids(world, type="project.deleted", since=start, order=order) == [v1_id(rare)]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_page_of_large_events_is_short_and_none_is_left_out(world: World, now: Now, order: str) -> None:
    """A query of the table ends after a megabyte."""
    world.new_project()
    (model,) = ledger(world)[-1:]
    now.passes(seconds=1)
    start = now.ago()
    large: dict[str, Any] = {"resource": {"S": json.dumps({"name": "x" * 15_000})}}
    expected = add(world, model, 90, now.milliseconds, 3, **large)
    now.passes(seconds=1)
    expected += add(world, model, 30, now.milliseconds, 0)
    now.passes(minutes=1)
    found = list(pages(world, since=start, order=order, limit=100))
    shown = [event["id"] for page in found for event in page["data"]]
    assert shown == [v1_id(id) for id in (expected if order == "asc" else expected[::-1])]
    assert len(found[0]["data"]) < 100


def test_the_newest_come_first_unless_asked_otherwise(world: World, now: Now) -> None:
    project = world.new_project()
    world.new_record(project, "tasks")
    assert types(world, limit=2, most=50)[:2] == ["task.created", "project.created"]


# ---------------------------------------------------------------- filters


def test_each_filter_alone_and_all_together(world: World, now: Now) -> None:
    first, second = world.new_project(), world.new_project(space="research")
    now.passes(seconds=1)
    world.new_member(second, "contributor", "contributor")
    answer = world("POST", f"{second}/tasks", {"name": "A", "description": "B", "phase": "modeling"}, by="contributor")
    assert answer.status == 201
    now.passes(seconds=1)
    assert world("PATCH", second, {"name": "Gemini"}).status == 200
    before = now.ago(seconds=2)
    of_second = {"project_id": second.rpartition("/")[2]}
    research = {"space_id": world.dev["tenants"]["acme"]["spaces"]["research"], "since": before}
    for query, expected in (
        ({"project_id": first.rpartition("/")[2]}, ["project.created"]),
        (of_second, ["project.updated", "task.created", "member.added", "project.created"]),
        ({"project_id": v1_id("0" * 24)}, []),
        (research, ["project.updated", "task.created", "member.added", "project.created"]),
        ({"actor_id": world.uuid("contributor")}, ["task.created"]),
        ({"since": now.ago(seconds=1)}, ["project.updated", "task.created", "member.added"]),
        ({"since": before, "until": now.ago(seconds=1)}, ["project.created", "project.created"]),
        ({"since": before, "until": before}, []),
        ({"type": "project.created", "since": before}, ["project.created", "project.created"]),
        ({"type": "project.*", **of_second}, ["project.updated", "project.created"]),
        ({"type": ["project.*", "member.added"], **of_second}, ["project.updated", "member.added", "project.created"]),
        ({"type": "*", **of_second}, ["project.updated", "task.created", "member.added", "project.created"]),
        ({"type": "task.cre"}, []),
        (
            {
                **of_second,
                **research,
                "type": ["task.*", "project.*"],
                "actor_id": world.uuid("owner"),
                "until": now.ago(seconds=1),
                "order": "desc",
            },
            ["project.created"],
        ),
    ):
        assert types(world, **query) == expected, query
        assert types(world, limit=1, **query) == expected, query
    now.passes(minutes=1)
    assert types(world, order="asc", **of_second) == [
        "project.created",
        *sorted(("member.added", "task.created"), key=types(world, order="asc", since=before).index),
        "project.updated",
    ]


def test_cursor_is_of_its_list_with_the_values_of_a_filter_in_any_order(world: World) -> None:
    query: dict[str, Any] = {"type": ["space.*", "principal.*"], "limit": 1}
    first = events(world, **query)
    cursor = first.body["meta"]["next_cursor"]
    second = events(world, **query, cursor=cursor)
    assert second.status == 200
    assert second.body["data"][0]["id"] < first.body["data"][0]["id"]
    assert events(world, type=["principal.*", "space.*"], cursor=cursor, limit=1).body["data"] == second.body["data"]
    refused = {"loc": ["query", "cursor"], "msg": "Must be the next_cursor of a page of this list, unchanged"}
    others: list[dict[str, Any]] = [{"type": "principal.*"}, {"type": ["space.*"]}, {}, {**query, "order": "asc"}]
    for other in others:
        answer = events(world, **other, cursor=cursor)
        assert answer.seen == (422, {"detail": [refused | {"type": "cursor"}]}), other


@pytest.mark.parametrize(
    ("query", "place", "message", "type"),
    [
        ("type=", "type", None, "event_type"),
        ("type=task.created&type=Task", "type", None, "event_type"),
        ("type=task.*.x", "type", None, "event_type"),
        ("order=up", "order", "Input should be 'asc' or 'desc'", "literal_error"),
        ("since=yesterday", "since", None, "datetime_parsing"),
        ("until=2026-02-30", "until", None, "datetime_parsing"),
        ("actor_id=x", "actor_id", None, "uuid_parsing"),
        ("limit=101", "limit", "Must be a whole number from 1 to 100", "limit"),
        ("colour=red", "colour", None, "extra_forbidden"),
    ],
)
def test_bad_parameter_is_refused(shared: World, query: str, place: str, message: str | None, type: str) -> None:
    answer = shared("GET", f"/v1/events?{query}")
    assert answer.status == 422
    (detail,) = answer.body["detail"]
    assert (detail["loc"][:2], detail["type"]) == (["query", place], type)
    assert message in (None, detail["msg"])


def test_moments_that_no_event_can_have_are_bounds_too(shared: World) -> None:
    for query, found in (
        ({"since": "0001-01-01"}, True),
        ({"since": "9999-12-31"}, False),
        ({"until": "0001-01-01"}, False),
        ({"until": "9999-12-31T23:59:59.999Z"}, True),
    ):
        for order in ("asc", "desc") if not found else ("desc",):
            answer = events(shared, order=order, **query)
            assert (answer.status, bool(answer.body["data"])) == (200, found), query


# ---------------------------------------------------------------- the watermark


def test_ascending_list_ends_at_the_watermark_and_a_cursor_passes_nothing(world: World, now: Now) -> None:
    start = now.ago()
    project = world.new_project()
    (id,) = ledger(world)[-1:]
    assert ids(world, since=start) == [v1_id(id)]
    for passed in (0, 29.999, 0.001):
        now.passes(seconds=passed)
        page = events(world, since=start, order="asc")
        assert page.body["data"] == []
        assert page.body["meta"]["watermark"] == now.ago(seconds=30)
    assert page.body["meta"]["watermark"] == start
    now.passes(milliseconds=1)
    page = events(world, since=start, order="asc")
    assert [event["id"] for event in page.body["data"]] == [v1_id(id)]
    assert page.body["meta"]["has_more"] is False
    # Its id is the first that the page has not examined yet; its commit was late.
    edge = f"{lowest_number(now.milliseconds - 30_000):024x}"
    event = rows_here().get(keys.event(tenant_of(world), id))
    assert event is not None
    rows_here().put(keys.event(tenant_of(world), edge), event)
    cursor = page.body["meta"]["next_cursor"]
    assert events(world, since=start, order="asc", cursor=cursor).body["data"] == []
    now.passes(milliseconds=1)
    again = events(world, since=start, order="asc", cursor=cursor)
    assert [event["id"] for event in again.body["data"]] == [v1_id(edge)]
    later = again.body["meta"]["next_cursor"]
    assert later != cursor
    now.passes(milliseconds=-10)
    behind = events(world, since=start, order="asc", cursor=later)
    assert (behind.body["data"], behind.body["meta"]["next_cursor"]) == ([], later)
    assert project


# ---------------------------------------------------------------- what is no longer kept


@pytest.mark.parametrize(("issued", "kept", "days"), [(90, 90, 90), (90, 30, 30), (30, 90, 30), (0, 7, 7), (7, 0, 7)])
def test_cursor_older_than_the_shorter_retention_is_refused_with_the_oldest_time(
    world: World, now: Now, monkeypatch: pytest.MonkeyPatch, issued: int, kept: int, days: int
) -> None:
    now.passes(milliseconds=500)
    keep_for(monkeypatch, issued)
    cursor = events(world, order="asc", limit=100).body["meta"]["next_cursor"]
    up, down = {"order": "asc", "cursor": cursor}, {"cursor": events(world, limit=1).body["meta"]["next_cursor"]}
    keep_for(monkeypatch, kept)
    now.passes(days=days, seconds=-30, milliseconds=-1)
    assert events(world, **up).status == 200
    now.passes(milliseconds=1)
    oldest = now.ago(days=days)
    told = f"Events are kept from {oldest} on, and older ones were asked for. Start again since that time."
    refused = events(world, **up)
    assert (refused.seen, refused.headers["x-error-code"]) == ((410, {"detail": told}), "events_expired")
    assert events(world, by="viewer", **up).status == 403
    assert events(world, **down).status == 200
    assert events(world, order="asc", since=oldest).status == 200


def test_cursor_is_good_for_ever_where_events_are(world: World, now: Now, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_for(monkeypatch, 0)
    cursor = events(world, order="asc").body["meta"]["next_cursor"]
    now.passes(days=4_000)
    assert events(world, order="asc", cursor=cursor).status == 200


# ---------------------------------------------------------------- what a page costs


@pytest.fixture
def metered(template: Template, engine: str, tmp_path: Any) -> Iterator[tuple[World, Callable[[], Any]]]:
    """A world, and what says and forgets what its list of events has cost: calls by operation, units, rows."""
    meter, rows = Meter(), list[int]()
    with inline(template, engine, tmp_path, meter.invoke) as world:
        client = tables.table()._client
        meter.watch(client)
        client.meta.events.register("after-call.dynamodb.Query", lambda parsed, **_: rows.append(len(parsed["Items"])))

        def spent() -> Any:
            made = [call for call in meter.calls if call.function == "V1ListEvents"]
            units, examined = sum(call.read for call in made), sum(rows)
            meter.clear()
            rows.clear()
            return Counter(call.operation for call in made), units, examined

        yield world, spent


ONE_ROUND = {"Query": 4, "BatchGetItem": 1}


def test_page_costs_the_same_among_few_and_many_events(metered: tuple[World, Callable[[], Any]], now: Now) -> None:
    world, spent = metered
    world.new_project()
    (model,) = ledger(world)[-1:]
    now.passes(seconds=1)
    first = now.milliseconds
    costs = []
    for count in (FEW, MANY):
        for shard in range(keys.LEDGER_SHARDS):
            add(world, model, count // keys.LEDGER_SHARDS, now.milliseconds, shard)
        now.passes(minutes=1)
        spent()
        for query in (
            {},
            {"limit": 1},
            {"order": "asc", "since": timestamp(datetime.fromtimestamp(first / 1000, UTC))},
        ):
            page = events(world, **query)
            assert len(page.body["data"]) == query.get("limit", 20)
            costs.append(spent())
    assert costs[:3] == costs[3:]
    assert [calls for calls, *_ in costs] == [ONE_ROUND] * 6
    assert [examined for *_, examined in costs] == [84, 8, 84] * 2


def test_filtered_page_examines_a_thousand_rows_and_its_cursor_goes_on(
    metered: tuple[World, Callable[[], Any]], now: Now
) -> None:
    world, spent = metered
    project = world.new_project()
    (model,) = ledger(world)[-1:]
    wanted = [model]
    rare: dict[str, Any] = {"type": {"S": "project.deleted"}}
    for _ in range(3):
        now.passes(seconds=1)
        add(world, model, 700, now.milliseconds)
        now.passes(seconds=1)
        wanted += add(world, model, 2, now.milliseconds, **rare)
    now.passes(minutes=1)
    spent()
    query = {"project_id": project.rpartition("/")[2], "type": "project.deleted", "since": now.ago(hours=1)}
    for order in ("asc", "desc"):
        found: list[str] = []
        sizes: list[int] = []
        cursor: dict[str, str] = {}
        while True:
            page = events(world, order=order, limit=5, **query, **cursor).body
            calls, _, examined = spent()
            assert (calls, examined <= 1_000) == (ONE_ROUND, True)
            found += [event["id"] for event in page["data"]]
            sizes.append(len(page["data"]))
            if not page["meta"]["has_more"]:
                break
            cursor = {"cursor": page["meta"]["next_cursor"]}
        expected = [v1_id(id) for id in wanted[1:]]
        assert found == (expected if order == "asc" else expected[::-1])
        assert len(sizes) >= 3
        assert max(sizes) < 5
