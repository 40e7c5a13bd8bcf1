"""Failed events and messages are done once when sent again; other letters stay in the queue."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from atrium.automation import redriving
from atrium.settings import settings
from local.event_sources import failure
from local.functions import FunctionFailed, call
from local.letters import Letters
from local.template import Template
from tests.support.client import World, flat_path
from tests.support.redrive import DONE, Redrive, created, envelope, requested, waiting


@pytest.mark.parametrize("failed", [True, False], ids=["AddViewer failed", "AddViewer was not invoked"])
def test_a_new_project_missed_by_add_viewer_gets_its_viewer_once(
    world: World, letters: Letters, redrive: Redrive, monkeypatch: pytest.MonkeyPatch, failed: bool
) -> None:
    monkeypatch.setenv("VIEWER_PRINCIPAL", world.uuid("viewer"))
    settings.cache_clear()
    project = world.new_project()
    event = created(world, project)
    letter = {**failure("AddViewer", "RetriesExhausted", 3), "requestPayload": event} if failed else event
    for turn in range(2):
        letters.add("DeadLetters", letter | {"turn": turn})
        assert redrive() == {"sent": 1, **DONE}
        assert world("GET", f"{project}/members/{world.uuid('viewer')}").status == 200
        assert world("GET", flat_path(project)).version == 2, "one change more"
    assert waiting(letters) == []


@pytest.mark.parametrize("as_message", [True, False], ids=["from the queue", "from the bus"])
def test_a_request_for_a_project_is_done_once(
    world: World, letters: Letters, redrive: Redrive, as_message: bool
) -> None:
    event = requested(world)
    for turn in range(2):
        letters.add("DeadLetters", {"messageId": f"m-{turn}", "body": json.dumps(event)} if as_message else event)
        assert redrive() == {"sent": 1, **DONE}
        assert [listed["name"] for listed in world("GET", world.projects()).body["data"]] == ["Gemini"]
    assert waiting(letters) == []


def test_letters_failing_again_and_unknown_letters_stay_and_do_not_stop_the_rest(
    world: World, letters: Letters, redrive: Redrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIEWER_PRINCIPAL", world.uuid("viewer"))
    settings.cache_clear()
    bad = requested(world)
    bad["detail"] = {**bad["detail"], "principal_id": world.uuid("owner")[:-1] + "x"}
    of_another = {**failure("Elsewhere", "RecordAgeExceeded", 1), "DDBStreamBatchInfo": {"shardId": "s"}}
    no_event = {
        **failure("AddViewer", "RetriesExhausted", 3),
        "requestPayload": envelope("atrium", "project.created", {}),
    }
    stay = [bad, {"messageId": "m-1", "body": "no JSON"}, of_another, no_event]
    for letter in (*stay, requested(world)):
        letters.add("DeadLetters", letter)
    summary = redrive()
    assert (summary["sent"], summary["failed"], summary["left"], summary["complete"]) == (1, 2, 2, True)
    assert sorted((detail["outcome"], detail["why"]) for detail in summary["details"]) == [
        ("failed", "AddViewer raised KeyError"),
        ("failed", "CreateProjectFromEvent says why in its log"),
        ("left", "Not a letter of a kind that is known"),
        ("left", "Of a function of another stack"),
    ]
    assert redrive()["sent"] == 0
    _, answer = letters.answer("ReceiveMessage", {"MaxNumberOfMessages": 10, "VisibilityTimeout": 0})
    assert len(answer["Messages"]) == len(stay)


def test_a_run_out_of_time_is_incomplete_and_leaves_the_rest_visible(
    world: World, letters: Letters, redrive: Redrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        letters.add("DeadLetters", requested(world))
    looked = iter([False, False, True, True, True])
    monkeypatch.setattr(redriving, "_redrive", partial(rerun, redriving._redrive, lambda: next(looked)))
    assert redrive() == {"sent": 1, **DONE, "complete": False}
    assert len(waiting(letters)) == 2


def rerun(original: Callable[..., Any], stop: Callable[[], bool], queue: Any, _: Any) -> Any:
    return original(queue, stop)


def test_redrive_refuses_an_unknown_field(world: World, letters: Letters, template: Template) -> None:
    letters.add("DeadLetters", requested(world))
    with pytest.raises(FunctionFailed, match="Refused: dry_run: Extra inputs are not permitted"):
        call(template.functions["Redrive"], {"dry_run": True})
    assert len(waiting(letters)) == 1
