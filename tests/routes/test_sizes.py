"""Big projects: answers stay within the limits of one answer, item and read, and cost the same."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from atrium import models
from atrium.api import flat, flat_records, room, v1, v1_records
from atrium.api.views import View
from atrium.settings import MAX_RETURNED_BYTES
from atrium.store import change, members, projects, records, tasks, whole
from atrium.store.engine.table import table
from atrium.text import MAX_EMAIL, MAX_NAME, MAX_TEXT
from tests.support.client import RECORDS, Answer, World, every_item, flat_id, flat_path, links, v1_id
from tests.support.rows import copies, rows_here
from tests.support.trace import Trace
from tests.support.world import full


def test_project_with_many_tasks_shows_1000_and_links_to_the_rest(world: World) -> None:
    project = world.new_project()
    ids = copies(world, project, "tasks", 1_200)
    shown = world("GET", flat_path(project))
    assert [task["_id"] for task in shown.body["tasks"]] == ids[:1_000]
    rest = links(shown)["tasks"]
    assert [task["_id"] for task in every_item(world, rest)] == ids[1_000:]
    assert [task["_id"] for task in every_item(world, f"{flat_path(project)}/tasks")] == ids
    (listed,) = world("GET", "/projects").body
    assert listed == shown.body
    put = world("PUT", flat_path(project), shown.body)
    assert (put.status, put.body) == (200, shown.body)
    assert links(put) == links(shown)


def test_small_request_on_a_large_project_stores_a_small_answer(world: World) -> None:
    """With an Idempotency-Key a PUT shows as many tasks as are worth keeping for 30 days, and where the others are."""
    project = world.new_project()
    ids = copies(world, project, "tasks", 900, name="x" * 200)
    rows = rows_here()
    before = {row["pk"] for row in rows.all()}
    body = {"projectName": "A", "clientName": "B", "description": "C"}
    assert len(json.dumps(body)) < 62
    put = world("PUT", flat_path(project), body, key="k")
    assert put.status == 200
    first = [task["_id"] for task in put.body["tasks"]]
    assert first == ids[: len(first)]
    assert 50 < len(first) < 100
    assert [task["_id"] for task in every_item(world, links(put)["tasks"])] == ids[len(first) :]
    (record,) = (row for row in rows.all() if row["pk"] not in before)
    assert len(json.dumps(record)) < whole.MAX_STORED_TASK_BYTES + 2_000
    again = world("PUT", flat_path(project), body, key="k")
    assert (again.status, again.content, again.replayed) == (200, put.content, True)
    assert links(again) == links(put)
    without = world("PUT", flat_path(project), body)
    assert without.body == world("GET", flat_path(project)).body
    assert len(without.body["tasks"]) > 600


def test_the_longest_names_and_texts_fit_into_one_answer_and_its_stored_copy(world: World) -> None:
    """Four bytes a character, and quotes that double on their way into JSON."""
    project = world.new_project("\U0001f600" * 200)
    copies(world, project, "tasks", 300, name="\U0001f600" * 200)
    copies(world, project, "tasks", 300, name='"' * 200, description="\U0001f600" * 10_000)
    shown = world("GET", flat_path(project))
    assert shown.status == 200
    assert 100 < len(shown.body["tasks"]) < 300
    body = {"projectName": "\U0001f600" * 200, "clientName": '"' * 200, "description": "\U0001f600" * 8_000}
    put = world("PUT", flat_path(project), body)
    assert (put.status, len(put.body["tasks"])) == (200, len(shown.body["tasks"]))
    stored, again = (world("PUT", flat_path(project), body, key="k") for _ in range(2))
    assert (again.status, again.content, again.replayed) == (200, stored.content, True)
    assert 0 < len(stored.body["tasks"]) < len(shown.body["tasks"])
    assert len(list(every_item(world, f"{flat_path(project)}/tasks"))) == 600
    report = world("GET", f"{flat_path(project)}/report")
    assert report.status == 200
    rest = every_item(world, links(report)["tasks"])
    assert len(report.body["tasks"]) + len(list(rest)) == 600


FIVE_TEXTS = ("algorithm_model", "parameters", "metric", "result", "conclusion")


def test_lists_of_the_largest_records_fit_into_an_answer(world: World) -> None:
    project = world.new_project()
    ids = copies(world, project, "experiments", 45, **dict.fromkeys(FIVE_TEXTS, '"' * 10_000))
    assert [item["_id"] for item in every_item(world, f"{flat_path(project)}/experiments")] == ids
    seen, cursor = [], ""
    while cursor is not None:
        page = world("GET", f"{project}/experiments?limit=100{cursor and f'&cursor={cursor}'}")
        assert page.status == 200
        seen += [flat_id(item["id"]) for item in page.body["data"]]
        cursor = page.body["meta"]["next_cursor"]
    assert seen == ids
    report = world("GET", f"{flat_path(project)}/report")
    assert set(links(report)) == {"experiments"}
    rest = [item["_id"] for item in every_item(world, links(report)["experiments"])]
    assert [item["_id"] for item in report.body["experiments"]] + rest == ids


def test_report_of_escapes_shown_twice_fits_into_an_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte of stalled tasks, and of decisions, all of quotes: of each Lambda counts four bytes, or eight."""
    monkeypatch.setattr(records, "STALLED_AFTER", timedelta(0))
    project = world.new_project()
    tasks = copies(world, project, "tasks", 90, description='"' * 10_000, status="onHold")
    decisions = copies(world, project, "decisions", 45, description="\\" * 10_000, justification='"' * 10_000)
    report = world("GET", f"{flat_path(project)}/report")
    assert report.status == 200
    assert len(json.dumps(report.content.decode(), ensure_ascii=False)) > 0.98 * MAX_RETURNED_BYTES
    shown = [task["_id"] for task in report.body["tasks"]]
    assert [task["_id"] for task in report.body["stalledTasks"]] == shown
    assert list(links(report)) == ["tasks", "decisions"]
    assert shown + [task["_id"] for task in every_item(world, links(report)["tasks"])] == tasks
    seen = [decision["_id"] for decision in report.body["decisions"]]
    assert seen + [decision["_id"] for decision in every_item(world, links(report)["decisions"])] == decisions


def test_answer_too_large_for_lambda_is_502(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    project = world.new_project()
    copies(world, project, "decisions", 80, description='"' * 10_000, justification='"' * 10_000)
    assert world("GET", f"{project}/decisions?limit=100").status == 200
    monkeypatch.setattr(room, "MAX_RETURNED_BYTES", 2 * MAX_RETURNED_BYTES)
    refused = world("GET", f"{project}/decisions?limit=100")
    assert refused.status == 502
    assert set(refused.body) == {"error", "detail"}


def test_large_descriptions_do_not_reduce_the_shown_tasks(world: World) -> None:
    project = world.new_project()
    long = copies(world, project, "tasks", 30, description="\U0001f600" * 10_000)
    ids = sorted(long + copies(world, project, "tasks", 225))
    shown = world("GET", flat_path(project))
    assert [task["_id"] for task in shown.body["tasks"]] == ids
    listed = world("GET", "/projects")
    assert listed.body == [shown.body]
    assert not links(shown) | links(listed)


def test_task_with_many_notes_links_to_the_rest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_MAX_SHOWN_NOTES", 1)
    task = world.new_record(world.new_project(), "tasks")
    first, second = (world.new_note(task) for _ in range(2))
    shown = world("GET", flat_path(task))
    assert [note["_id"] for note in shown.body["notes"]] == [first.rpartition("/")[2]]
    rest = every_item(world, links(shown)["notes"])
    assert [note["_id"] for note in rest] == [second.rpartition("/")[2]]


# What is answered in one piece, with the most that each of its fields may hold. A quote costs four bytes, as much as
# a character takes at most.
TEXT, NAME, ID = '"' * MAX_TEXT, '"' * MAX_NAME, "f" * 24
FIVE: dict[str, Any] = dict.fromkeys(FIVE_TEXTS, TEXT)
NOW = "2026-03-31T17:00:00.000Z"
COMMON: dict[str, Any] = {
    **dict.fromkeys(("id", "tenant", "space", "project", "created_by"), ID),
    "created_at": NOW,
    "updated_at": NOW,
    "version": 10**9,
}
TASK = models.Task(
    **COMMON,
    name=NAME,
    description=TEXT,
    phase="data_understanding",
    status="underReview",
    completed=False,
    assigned_to=ID,
    estimated_hours="1" * 38,
    priority="medium",
    deadline=NOW,
    started_at=NOW,
    finished_at=NOW,
    completed_by=[{"principal": ID, "status": "underReview", "at": NOW}] * tasks.MAX_STATUS_CHANGES,
)
PROJECT = models.Project(
    **{name: value for name, value in COMMON.items() if name != "project"},
    name=NAME,
    client=NAME,
    description=json.dumps({"summary": TEXT}),
    manager=ID,
    status="archived",
    sequence=10**9,
    members=change.MAX_MEMBERS,
    last_events=(ID,),
)
# As many as fit into a megabyte, of the longest and of the shortest.
NOTES = {
    size: [models.Note(ID, ID, ID, ID, ID, '"' * (1024**2 // size), ID, NOW)] * size
    for size in (1024**2 // MAX_TEXT + 1, tasks._MAX_SHOWN_NOTES)
}
SHOWN = whole.MAX_SHOWN_TASK_BYTES // (100 + 2 * MAX_NAME)
LARGEST: dict[str, Callable[[], View]] = {
    "a task": lambda: v1_records.TaskView.of(TASK),
    "an experiment": lambda: v1_records.ExperimentView.of(
        models.Experiment(**COMMON, name=NAME, **FIVE, phase="data_understanding")
    ),
    "a project in v1": lambda: v1.ProjectView.of(
        replace(PROJECT, description=json.dumps('"' * (projects.MAX_DESCRIPTION_BYTES // 2 - 1)))
    ),
    "a project with tasks and team": lambda: flat.ProjectView.of(
        models.WholeProject(PROJECT, (ID,) * change.MAX_MEMBERS, (models.ShownTask(ID, NAME, "underReview"),) * SHOWN)
    ),
    **{
        f"a task with {size} notes": lambda notes=notes: flat_records.TaskWithNotes.of_both(  # type: ignore[misc]
            TASK, models.Page(tuple(notes), ID)
        )
        for size, notes in NOTES.items()
    },
}


@pytest.mark.parametrize("name", LARGEST)
def test_largest_single_resource_fits_into_an_answer(name: str) -> None:
    assert room.Room().take(LARGEST[name]().text())


def test_largest_team_fits_into_an_answer() -> None:
    people = [models.Person(ID, NAME, '"' * MAX_EMAIL)] * change.MAX_MEMBERS
    assert len(flat_records.people(people)) == change.MAX_MEMBERS


def test_report_links_to_each_incomplete_kind(world: World) -> None:
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
    for module in (change, members):
        monkeypatch.setattr(module, "MAX_MEMBERS", 3)
    project = world.new_project()
    viewer, _ = (world.new_member(project, name, "viewer") for name in ("viewer", "outsider"))
    body = {"principal_id": world.uuid("contributor"), "role_id": world.role("viewer")}
    refused = {"detail": "A project may have at most 3 members."}
    assert world("POST", f"{project}/members", body).seen == (409, refused)
    assert world("DELETE", viewer).status == 204
    assert world("POST", f"{project}/members", body).status == 201


# ---------------------------------------------------------------- costs


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


def test_every_page_of_many_tasks_has_the_cost_of_the_first(world: World) -> None:
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


def test_records_of_a_big_project_have_the_cost_of_those_of_an_empty_one(world: World) -> None:
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
