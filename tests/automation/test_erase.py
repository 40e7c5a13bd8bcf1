"""An operator empties what the ledger holds of a project, or of one thing."""

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from atrium import keys
from atrium.automation import erasing
from atrium.store import erase as erasures
from atrium.store.engine.table import Item, Table
from atrium.store.engine.wire import wire_item
from local.functions import FunctionFailed, call
from local.template import ROOT, Template
from tests.support.changes import require_published_form
from tests.support.client import A_MOMENT, RECORDS, World, flat_id, flat_path, v1_id
from tests.support.rows import Rows, clean, meta_of, rows_here

Erase = Callable[..., Any]
SECRET = "To the moon, by Tuesday"


@pytest.fixture
def rows(world: World) -> Rows:
    return rows_here()


@pytest.fixture
def erase(world: World, template: Template) -> Erase:
    """Invokes Erase for the tenant."""
    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    return lambda **what: call(template.functions["Erase"], {"tenant_id": tenant, **what})


def ledger(rows: Rows) -> list[Item]:
    return [row for row in rows.all() if "#L#" in row["pk"]]


def tenant_of(world: World) -> str:
    return flat_id(world.dev["tenants"]["acme"]["tenant_id"])


def id_of(path: str) -> str:
    return v1_id(flat_id(path.rpartition("/")[2]))


def told_of(world: World) -> tuple[str, str]:
    """The path of a project with a task, a note on it and a decision, all of which tell the secret; and the task's."""
    project = world("POST", world.projects(), {"name": "Apollo", "description": {"aim": SECRET}}).body["id"]
    path = f"{world.projects()}/{project}"
    task = f"{path}/tasks/" + world("POST", f"{path}/tasks", RECORDS["tasks"] | {"description": SECRET}).body["id"]
    assert world("POST", f"{flat_path(task)}/notes", {"content": SECRET}).status == 201
    assert world("PATCH", task, {"status": "onHold"}).status == 200
    assert world("POST", f"{path}/decisions", RECORDS["decisions"] | {"justification": SECRET}).status == 201
    return path, task


def published(world: World, template: Template, project: str, late: int = 0) -> dict[str, Any]:
    """The event of a project's last change, as the publisher sends it so many seconds after its decision."""
    image = wire_item(meta_of(world, project))
    change = {"NewImage": image, "SequenceNumber": "1", "ApproximateCreationDateTime": int(time.time()) + late}
    world.bus.events.clear()
    answer = call(template.functions["PublishEvents"], {"Records": [{"dynamodb": change}]})
    assert answer == {"batchItemFailures": []}
    (event,) = world.bus.details
    found: dict[str, Any] = event
    require_published_form(found)
    return found


def test_all_events_of_a_project_are_emptied_once_and_stay(
    world: World, template: Template, rows: Rows, erase: Erase
) -> None:
    path, _ = told_of(world)
    other, _ = told_of(world)
    own, others = flat_id(path.rpartition("/")[2]), flat_id(other.rpartition("/")[2])
    assert world("DELETE", path).status == 204
    before = {row["sk"]: row for row in ledger(rows)}
    first = erase(project_id=id_of(path))
    of_it = [id for id, row in before.items() if row.get("project") == own]
    of_tenant = [row for row in before.values() if row["pk"].startswith(keys.tenant_prefix(tenant_of(world)))]
    assert first == {"complete": True, "after": None, "rows": len(of_tenant), "erased": len(of_it)}
    after = {row["sk"]: row for row in ledger(rows)}
    assert len(of_it) == 6
    for id in of_it:
        assert after[id].pop("erased_at") == A_MOMENT
        assert after[id] == {**before[id], "resource": "null"}
    assert [after[id] for id in after if id not in of_it] == [before[id] for id in before if id not in of_it]
    assert SECRET in json.dumps([row for row in after.values() if row.get("project") == others])
    assert erase(project_id=id_of(path)) == {**first, "erased": 0}
    assert {row["sk"]: row for row in ledger(rows)}.keys() == after.keys()
    event = published(world, template, path)
    assert (event["type"], event["resource"], event["sequence"]) == ("project.deleted", None, 6)
    shown = world("GET", f"/v1/events/{event['id']}")
    assert (shown.status, shown.body) == (200, event)
    listed = world("GET", f"/v1/events?project_id={id_of(path)}").body["data"]
    assert (listed[0]["type"], listed[0]["resource"]) == ("project.deleted", None)
    assert SECRET not in json.dumps(listed)
    assert clean(call(template.functions["Fsck"], {}))


def test_all_events_of_one_thing_are_emptied_with_the_notes_on_it(world: World, rows: Rows, erase: Erase) -> None:
    path, task = told_of(world)
    summary = erase(resource_id=id_of(task))
    assert (summary["complete"], summary["erased"]) == (True, 3)
    of_it = [row for row in ledger(rows) if row.get("project") == flat_id(path.rpartition("/")[2])]
    emptied = {row["type"]: row["resource"] == "null" for row in of_it}
    assert emptied == {
        "project.created": False,
        "task.created": True,
        "note.created": True,
        "task.updated": True,
        "decision.created": False,
    }


def test_a_changed_project_whose_last_event_is_erased_is_no_damage(
    world: World, template: Template, rows: Rows, erase: Erase
) -> None:
    path, _ = told_of(world)
    assert erase(project_id=id_of(path))["erased"] == 5
    assert clean(call(template.functions["Fsck"], {}))
    assert world("PATCH", path, {"name": "Gemini"}).status == 200
    assert published(world, template, path)["resource"]["name"] == "Gemini", "later events are whole"


def test_an_event_that_is_listed_twice_is_emptied_in_both_places(
    world: World, template: Template, rows: Rows, erase: Erase
) -> None:
    path, _ = told_of(world)
    published(world, template, path, late=60)
    assert erase(resource_id=id_of(path))["erased"] == 1
    assert erase(project_id=id_of(path))["erased"] == 5
    own = [row for row in ledger(rows) if row.get("project") == flat_id(path.rpartition("/")[2])]
    assert len(own) == 6
    assert {row["resource"] for row in own} == {"null"}


def test_what_is_erased_while_it_is_listed_again_is_erased_in_both_places(
    world: World, template: Template, rows: Rows, erase: Erase, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = told_of(world)
    transact = Table.transact

    def after_the_erasure(*given: Any) -> None:
        monkeypatch.undo()
        erase(project_id=id_of(path))
        transact(*given)

    change = {"NewImage": wire_item(meta_of(world, path)), "SequenceNumber": "1"}
    batch = {"Records": [{"dynamodb": {**change, "ApproximateCreationDateTime": int(time.time()) + 60}}]}
    monkeypatch.setattr(Table, "transact", after_the_erasure)
    answers = [call(template.functions["PublishEvents"], batch) for _ in range(2)]
    assert answers == [{"batchItemFailures": [{"itemIdentifier": "1"}]}, {"batchItemFailures": []}]
    own = [row for row in ledger(rows) if row.get("project") == flat_id(path.rpartition("/")[2])]
    assert len(own) == 6
    assert {row["resource"] for row in own} == {"null"}


def test_a_run_that_ends_early_is_continued_behind_its_last_page(
    world: World, rows: Rows, erase: Erase, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = told_of(world)
    told_of(world)
    monkeypatch.setattr(erasures, "_PAGE", 2)
    monkeypatch.setattr(erasing, "deadline", lambda _: partial(bool, True))
    parts = [erase(project_id=id_of(path))]
    while not parts[-1]["complete"]:
        parts.append(erase(project_id=id_of(path), after=parts[-1]["after"]))
        assert len(parts) < 50
    of_tenant = [row for row in ledger(rows) if row["pk"].startswith(keys.tenant_prefix(tenant_of(world)))]
    assert sum(part["rows"] for part in parts) == len(of_tenant)
    assert sum(part["erased"] for part in parts) == 5
    assert len(parts) > 4


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({}, "Send one of them"),
        ({"project_id": v1_id("f" * 24), "resource_id": v1_id("f" * 24)}, "Send one of them"),
        ({"project_id": "f" * 24}, "project_id: Must be an id that is a UUID"),
        ({"project_id": v1_id("f" * 24), "space": "x"}, "space: Extra inputs are not permitted"),
        ({"project_id": v1_id("f" * 24), "after": [f"T#{'f' * 24}#L#0", "x"]}, "that of an earlier result"),
    ],
)
def test_a_request_that_is_not_one_is_refused_and_erases_nothing(
    rows: Rows, erase: Erase, what: dict[str, Any], why: str
) -> None:
    before = ledger(rows)
    with pytest.raises(FunctionFailed, match=f"Refused.*{why}"):
        erase(**what)
    assert ledger(rows) == before


def test_the_sample_event_is_a_request(world: World, template: Template) -> None:
    sample = json.loads((ROOT / "events/automation/erase.json").read_text())
    result = call(template.functions["Erase"], sample)
    assert (result["complete"], result["erased"]) == (True, 0)
