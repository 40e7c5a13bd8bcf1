"""Big projects: what is shown stays within what one answer, one item and one read can hold, and costs the same."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from atrium.ids import new_id
from atrium.store import members, projects
from atrium.store.table import table
from tests.client import RECORDS, Answer, World, flat_id, flat_path, v1_id
from tests.conftest import full
from tests.trace import Trace

# What API Gateway takes from a function.
MAX_ANSWER = 6 * 1024 * 1024


def copies(world: World, project: str, kind: str, count: int, **fields: Any) -> list[str]:
    """The ids, in the flat spelling, of new records that are copies of one, made past the API."""
    client = boto3.client("dynamodb")
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    made = world("POST", f"{project}/{kind}", RECORDS[kind] | fields)
    assert made.status == 201, made
    prefix = f"{kind[:-1].upper()}#"
    first = flat_id(made.body["id"])
    key = {"pk": {"S": f"T#{tenant}#P#{flat_id(project.rpartition('/')[2])}"}, "sk": {"S": prefix + first}}
    item = client.get_item(TableName=os.environ["TABLE_NAME"], Key=key)["Item"]
    ids = [first, *(new_id() for _ in range(count - 1))]
    puts = [{"PutRequest": {"Item": item | {"sk": {"S": prefix + id}, "id": {"S": id}}}} for id in ids[1:]]
    size = 25 if len(json.dumps(item)) < 30_000 else 4
    for position in range(0, len(puts), size):
        client.batch_write_item(RequestItems={os.environ["TABLE_NAME"]: puts[position : position + size]})
    return sorted(ids)


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
        assert len(answer.content) < MAX_ANSWER
        yield from answer.body
        path = links(answer).get("", "")


def test_a_project_with_many_tasks_shows_the_first_thousand_and_says_where_the_rest_is(world: World) -> None:
    project = world.new_project()
    ids = copies(world, project, "tasks", 1_200)
    shown = world("GET", flat_path(project))
    assert [task["_id"] for task in shown.body["tasks"]] == ids[:1_000]
    rest = links(shown)["tasks"]
    assert [task["_id"] for task in every_item(world, rest)] == ids[1_000:]
    assert [task["_id"] for task in every_item(world, f"{flat_path(project)}/tasks")] == ids
    (listed,) = world("GET", "/projects").body
    assert listed == shown.body
    put = world("PUT", flat_path(project), shown.body, key="k")
    assert (put.status, put.body) == (200, shown.body)
    assert links(put) == links(shown)
    again = world("PUT", flat_path(project), shown.body, key="k")
    assert (again.status, again.content, again.replayed) == (200, put.content, True)
    assert links(again) == links(shown)


def test_the_longest_names_and_texts_fit_into_one_answer_and_its_stored_copy(world: World) -> None:
    """Four bytes a character, and quotes that double on their way into JSON."""
    project = world.new_project("\U0001f600" * 200)
    copies(world, project, "tasks", 300, name="\U0001f600" * 200)
    copies(world, project, "tasks", 300, name='"' * 200, description="\U0001f600" * 10_000)
    shown = world("GET", flat_path(project))
    assert shown.status == 200
    assert 100 < len(shown.body["tasks"]) < 300
    body = {"projectName": "\U0001f600" * 200, "clientName": '"' * 200, "description": "\U0001f600" * 8_000}
    for _ in range(2):
        put = world("PUT", flat_path(project), body, key="k")
        assert (put.status, len(put.body["tasks"])) == (200, len(shown.body["tasks"]))
    assert put.replayed
    assert len(list(every_item(world, f"{flat_path(project)}/tasks"))) == 600
    report = world("GET", f"{flat_path(project)}/report")
    assert report.status == 200
    assert len(report.content) < MAX_ANSWER
    rest = every_item(world, links(report)["tasks"])
    assert len(report.body["tasks"]) + len(list(rest)) == 600


def test_lists_of_the_largest_records_fit_into_an_answer(world: World) -> None:
    project = world.new_project()
    texts = ("algorithm_model", "parameters", "metric", "result", "conclusion")
    ids = copies(world, project, "experiments", 40, **dict.fromkeys(texts, '"' * 10_000))
    assert [item["_id"] for item in every_item(world, f"{flat_path(project)}/experiments")] == ids
    seen, cursor = [], ""
    while cursor is not None:
        page = world("GET", f"{project}/experiments?limit=100{cursor and f'&cursor={cursor}'}")
        assert page.status == 200
        assert len(page.content) < MAX_ANSWER
        seen += [flat_id(item["id"]) for item in page.body["data"]]
        cursor = page.body["meta"]["next_cursor"]
    assert seen == ids
    report = world("GET", f"{flat_path(project)}/report")
    assert set(links(report)) == {"experiments"}
    rest = [item["_id"] for item in every_item(world, links(report)["experiments"])]
    assert [item["_id"] for item in report.body["experiments"]] + rest == ids


def test_a_report_says_where_each_kind_goes_on_that_it_does_not_bring(world: World) -> None:
    """Datasets fill the megabyte that datasets, decisions and experiments share."""
    project = world.new_project()
    copies(world, project, "datasets", 60, description="x" * 10_000, source="y" * 10_000)
    decision = copies(world, project, "decisions", 1)
    report = world("GET", f"{flat_path(project)}/report")
    assert set(links(report)) == {"datasets", "decisions", "experiments"}
    assert report.body["decisions"] == report.body["experiments"] == []
    assert [item["_id"] for item in every_item(world, links(report)["decisions"])] == decision
    rest = list(every_item(world, links(report)["datasets"]))
    assert len(report.body["datasets"]) + len(rest) == 60


def test_a_project_has_a_thousand_members_at_most(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (projects, members):
        monkeypatch.setattr(module, "MAX_MEMBERS", 3)
    project = world.new_project()
    viewer, _ = (world.new_member(project, name, "viewer") for name in ("viewer", "outsider"))
    body = {"principal_id": world.uuid("contributor"), "role_id": world.role("viewer")}
    refused = {"detail": "A project may have at most 3 members."}
    assert world("POST", f"{project}/members", body).seen == (409, refused)
    assert world("DELETE", viewer).status == 204
    assert world("POST", f"{project}/members", body).status == 201


# ---------------------------------------------------------------- what it costs


@contextmanager
def units(seen: list[float]) -> Iterator[None]:
    """Collects the read capacity units of the table's calls."""
    events = table()._client.meta.events

    def ask(params: dict[str, Any], **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"

    def note(parsed: dict[str, Any], **_: Any) -> None:
        consumed = parsed.get("ConsumedCapacity", [])
        seen.extend(one["CapacityUnits"] for one in (consumed if isinstance(consumed, list) else [consumed]))

    for operation in ("Query", "BatchGetItem", "TransactWriteItems"):
        events.register(f"provide-client-params.dynamodb.{operation}", ask)
        events.register(f"after-call.dynamodb.{operation}", note)
    try:
        yield
    finally:
        for operation in ("Query", "BatchGetItem", "TransactWriteItems"):
            events.unregister(f"provide-client-params.dynamodb.{operation}", ask)
            events.unregister(f"after-call.dynamodb.{operation}", note)


def cost(world: World, method: str, path: str, body: Any = None) -> tuple[float, Answer]:
    """The capacity units that a request took, and its answer."""
    seen: list[float] = []
    with units(seen):
        answer = world(method, path, body)
    assert answer.status in (200, 201, 204)
    assert seen
    return sum(seen), answer


def test_any_page_of_many_tasks_costs_what_the_first_one_costs(world: World) -> None:
    project = world.new_project()
    copies(world, project, "tasks", full(1_000, 10_000))
    costs, cursor = [], ""
    while cursor is not None:
        taken, page = cost(world, "GET", f"{project}/tasks?limit=100{cursor and f'&cursor={cursor}'}")
        costs.append(taken)
        cursor = page.body["meta"]["next_cursor"]
    assert len(costs) == full(10, 100)
    # The last page has no item behind it.
    assert set(costs[:-1]) == {costs[0]}
    assert costs[-1] <= costs[0]


def test_records_are_read_and_written_for_the_same_in_a_big_project_as_in_an_empty_one(world: World) -> None:
    small, big = (world.new_project() for _ in range(2))
    copies(world, big, "tasks", full(1_000, 10_000))
    costs: list[list[float]] = []
    for project in (small, big):
        task, dataset = (world.new_record(project, kind) for kind in ("tasks", "datasets"))
        requests: list[tuple[str, str, Any]] = [
            ("GET", task, None),
            ("PATCH", task, {"phase": "business"}),
            ("POST", f"{project}/tasks", RECORDS["tasks"]),
            ("GET", f"{project}/datasets", None),
            ("GET", f"{flat_path(project)}/tasks?limit=1", None),
            ("DELETE", dataset, None),
            ("DELETE", project, None),
        ]
        costs.append([cost(world, *request)[0] for request in requests])
    assert costs[0] == costs[1]


@pytest.mark.parametrize("kind", sorted(RECORDS))
def test_round_trips_of_records_do_not_grow_with_the_project(traced: tuple[World, Trace], kind: str) -> None:
    world, trace = traced
    project = world.new_project()
    ids = copies(world, project, kind, full(300, 3_000))
    path = f"{project}/{kind}/{v1_id(ids[200])}"
    single = kind[:-1].title()
    for route, method, target, body, trips in (
        (f"V1List{kind.title()}", "GET", f"{project}/{kind}?limit=100", None, 1),
        (f"V1Get{single}", "GET", path, None, 1),
        (f"V1Create{single}", "POST", f"{project}/{kind}", RECORDS[kind], 2),
        (f"V1Update{single}", "PATCH", path, {"phase": "business"}, 2),
        (f"V1Delete{single}", "DELETE", path, None, 2),
    ):
        trace.clear()
        assert world(method, target, body).status in (200, 201, 204)
        assert trace.round_trips(route) == trips, route
