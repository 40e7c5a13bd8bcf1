"""Changes that the publisher puts aside become dead letters, and are published once they can be."""

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from atrium.automation import streams
from atrium.store import ledger
from atrium.store.engine.table import table
from atrium.store.engine.wire import wire_item
from atrium.store.letters import dead_letters
from local.bus import Bus
from local.functions import call
from local.letters import Letters
from local.template import ACCOUNT, REGION, Template
from tests.support.client import World, v1_id
from tests.support.redrive import DONE, Record, Redrive, waiting
from tests.support.rows import meta_of


def change(world: World, project: str) -> Record:
    """The stream's record of the last change to a project."""
    image = wire_item(meta_of(world, project))
    return {
        "eventName": "MODIFY",
        "dynamodb": {
            "Keys": {name: image[name] for name in ("pk", "sk")},
            "NewImage": image,
            "OldImage": {**image, "sequence": {"N": "0"}},
            "SequenceNumber": f"{uuid4().int:040}",
        },
    }


def published(world: World) -> list[tuple[Any, int]]:
    return [(event["project_id"], event["sequence"]) for event in world.bus.details]


def test_an_unreadable_image_is_put_aside_and_published_once_readable(
    world: World, letters: Letters, redrive: Redrive, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    projects = [world.new_project() for _ in range(3)]
    ids = [world("GET", project).body["id"] for project in projects]
    records = [change(world, project) for project in projects]
    read = ledger.announced

    def unreadable(record: Record) -> Any:
        if record["dynamodb"]["SequenceNumber"] == records[1]["dynamodb"]["SequenceNumber"]:
            raise KeyError("last_events")
        return read(record)

    with monkeypatch.context() as patch:
        patch.setattr(streams, "announced", unreadable)
        answer = call(template.functions["PublishEvents"], {"Records": records})
        assert answer == {"batchItemFailures": []}, "later records do not wait"
        assert published(world) == [(ids[0], 1), (ids[2], 1)]
        (letter,) = waiting(letters)
        assert letter["requestContext"]["condition"] == "EventUnreadable"
        assert letter["requestContext"]["functionArn"] == f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:PublishEvents"
        kept = letter["requestPayload"]["Records"][0]["dynamodb"]
        assert kept == {**records[1]["dynamodb"], "OldImage": {"sequence": {"N": "0"}}}
        assert redrive()["failed"] == 1
        assert waiting(letters) == [letter], "the one letter, and no other"
    assert redrive() == {"sent": 1, **DONE}
    assert published(world) == [(ids[0], 1), (ids[2], 1), (ids[1], 1)]
    event = records[1]["dynamodb"]["NewImage"]["last_events"]["L"][0]["S"]
    assert world.bus.details[-1]["id"] == v1_id(event)
    assert waiting(letters) == []


@pytest.mark.parametrize("whole", [True, False], ids=["the request is refused", "the entry is refused"])
def test_an_event_refused_by_the_bus_is_put_aside_and_published_once_accepted(
    world: World,
    letters: Letters,
    redrive: Redrive,
    template: Template,
    monkeypatch: pytest.MonkeyPatch,
    whole: bool,
) -> None:
    first, second = (world.new_project() for _ in range(2))
    bad = world("GET", second).body["id"]
    good = world("GET", first).body["id"]

    def put_events(bus: Bus, request: Any) -> tuple[int, dict[str, Any]]:
        if whole and any(bad in entry["Detail"] for entry in request["Entries"]):
            return 400, {"__type": "ValidationException", "message": "?"}
        return original(bus, request)

    def put(bus: Bus, entry: Any) -> dict[str, str]:
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "?"} if bad in entry["Detail"] else one(bus, entry)

    original, one = Bus.put_events, Bus._put
    with monkeypatch.context() as patch:
        patch.setattr(Bus, "put_events", put_events)
        if not whole:
            patch.setattr(Bus, "_put", put)
        records = [change(world, second), change(world, first)]
        assert call(template.functions["PublishEvents"], {"Records": records}) == {"batchItemFailures": []}
        assert published(world) == [(good, 1)]
        (letter,) = waiting(letters)
        assert letter["requestContext"]["condition"] == "EventRefused"
        assert redrive()["failed"] == 1
    assert redrive() == {"sent": 1, **DONE}
    assert published(world) == [(good, 1), (bad, 1)]
    assert waiting(letters) == []


def test_a_change_waits_in_the_stream_while_the_table_is_closed_to_writes(
    world: World, letters: Letters, template: Template
) -> None:
    record = change(world, world.new_project())
    refusal = {"Error": {"Code": "AccessDeniedException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    hooks = table()._client.meta.events

    def closed(**_: Any) -> Any:
        return SimpleNamespace(status_code=400), refusal

    hooks.register("before-call.dynamodb.UpdateItem", closed)
    answer = call(template.functions["PublishEvents"], {"Records": [record]})
    assert answer == {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
    assert (published(world), waiting(letters)) == ([], [])
    hooks.unregister("before-call.dynamodb.UpdateItem", closed)
    assert call(template.functions["PublishEvents"], {"Records": [record]}) == {"batchItemFailures": []}
    assert [sequence for _, sequence in published(world)] == [1]


def test_a_record_is_reported_to_the_stream_if_its_letter_cannot_be_stored(
    world: World, letters: Letters, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = change(world, world.new_project())
    del record["dynamodb"]["NewImage"]["last_events"]
    monkeypatch.setattr(Letters, "answer", lambda *_: (503, {}))
    answer = call(template.functions["PublishEvents"], {"Records": [record]})
    assert answer == {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}


@pytest.mark.parametrize("text", ['"', "\\", "\n", "é", "\U0001f600", "\uffff", "\ufffe"], ids=ascii)
def test_the_largest_item_of_a_table_fits_into_a_letter(world: World, letters: Letters, text: str) -> None:
    """An item of DynamoDB has at most 400 KB, a message of SQS at most 1 MiB and not every character."""
    image = {"pk": {"S": "T#x#P#y"}, "description": {"S": text * (400 * 1024 // len(text.encode()))}}
    record = {"dynamodb": {"NewImage": image, "OldImage": {**image, "sequence": {"N": "1"}}, "SequenceNumber": "1"}}
    dead_letters().leave(record, "EventUnreadable", SimpleNamespace(aws_request_id="r", invoked_function_arn="a"))
    (letter,) = waiting(letters)
    (kept,) = letter["requestPayload"]["Records"]
    assert kept["dynamodb"] == {**record["dynamodb"], "OldImage": {"sequence": {"N": "1"}}}
