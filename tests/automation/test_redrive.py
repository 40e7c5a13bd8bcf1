"""Each kind of failure that is stored, sent again, ends as if it had never failed; and the rest stays where it is."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from moto.events.models import EventPattern

from atrium import keys
from atrium.automation import redriving, streams
from atrium.settings import settings
from atrium.store import outbox
from atrium.store import redrive as resending
from atrium.store.engine.wire import wire_item
from atrium.store.letters import dead_letters
from local.bus import Bus, instant
from local.event_sources import StreamSource, failure
from local.functions import FunctionFailed, call
from local.letters import Letters
from local.template import ACCOUNT, REGION, ROOT, EventSource, Function, Template, lambda_environment
from tests.support.client import RECORDS, World, flat_id, flat_path, v1_id
from tests.support.clock import NET
from tests.support.iam import ALWAYS, needless, statements
from tests.support.processes import running, wait_for
from tests.support.rows import meta_of
from tests.support.trace import Trace, enforced
from tests.support.world import KEY, Crowd

Record = dict[str, Any]
Redrive = Callable[[], dict[str, Any]]

DONE = {"failed": 0, "left": 0, "complete": True, "details": []}


def clear_caches() -> None:
    for cached in (settings, dead_letters, resending._streams, resending._lambdas):
        cached.cache_clear()


@pytest.fixture
def trace() -> Trace:
    """What Redrive asks of AWS."""
    return Trace()


@pytest.fixture
def environment(template: Template, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Makes this process's environment Redrive's, with a table and a bus."""

    def become(table: str, bus: str) -> None:
        for name, value in lambda_environment(template.functions["Redrive"], table, bus, KEY).items():
            if name != "TABLE_NAME" or name not in os.environ:
                monkeypatch.setenv(name, value)
        clear_caches()

    yield become
    clear_caches()


@pytest.fixture
def redrive(template: Template, trace: Trace) -> Redrive:
    def run() -> dict[str, Any]:
        for client in (dead_letters()._client, resending._streams(), resending._lambdas()):
            if client not in watched:
                trace.watch(client)
                watched.append(client)
        answer: dict[str, Any] = trace.invoke(template.functions["Redrive"], {})
        return answer

    watched: list[Any] = []
    return run


# ---------------------------------------------------------------- places in the stream


@pytest.fixture
def on_stream(crowd: Crowd, template: Template, environment: Callable[[str, str], None]) -> Iterator[Crowd]:
    """The crowd, with an empty queue; this process may do what Redrive may."""
    environment(crowd.client.meta.endpoint_url, crowd.world.bus.url)
    crowd.letters.answer("ReceiveMessage", {"MaxNumberOfMessages": 1000, "VisibilityTimeout": 10**6})
    with enforced(template):
        yield crowd
    crowd.world.bus.before = lambda _: ()


def shards(crowd: Crowd) -> tuple[str, dict[str, list[Record]]]:
    """The ARN of the table's stream, and all of its records, by shard."""
    client = resending._streams()
    arn = crowd.client.describe_table(TableName="atrium")["Table"]["LatestStreamArn"]
    found = {}
    for shard in client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        place = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator, records, empty = client.get_shard_iterator(**place)["ShardIterator"], list[Record](), 0
        while iterator and empty < 3:
            page = client.get_records(ShardIterator=iterator)
            records += page["Records"]
            empty = 0 if page["Records"] else empty + 1
            iterator = page.get("NextShardIterator")
        found[shard["ShardId"]] = records
    return arn, found


def give_up(crowd: Crowd, template: Template, name: str, project: str) -> int:
    """Lets the stream give up what it has for a function of a project: how many letters that were."""
    (source,) = (each for each in template.event_sources if each.function.name == name)
    arn, found = shards(crowd)
    letters = 0

    def leave(queue: str, letter: Mapping[str, Any]) -> None:
        nonlocal letters
        letters += 1
        crowd.letters.add("DeadLetters", letter)

    for shard, records in found.items():
        young = [
            {**each, "dynamodb": {**each["dynamodb"], "ApproximateCreationDateTime": 0}}
            for each in records
            if flat_id(project.rpartition("/")[2]) in json.dumps(each["dynamodb"]["Keys"])
        ]
        list(StreamSource(replace(source, source=arn), never, leave).deliver(shard, young))
    return letters


def never(function: Function, event: Mapping[str, Any]) -> Any:
    raise AssertionError("Too old to be invoked for.")


def test_changes_that_the_stream_gave_up_are_published_once(
    on_stream: Crowd, template: Template, redrive: Redrive
) -> None:
    world = on_stream.world
    project = world.new_project()
    world.new_member(project, "viewer", "viewer")
    world.new_record(project, "tasks")
    assert world("PATCH", project, {"name": "Gemini"}).status == 200
    world.bus.events.clear()
    count = give_up(on_stream, template, "PublishEvents", project)
    assert count >= 1
    assert redrive() == {"sent": count, **DONE}
    assert [event["sequence"] for event in world.bus.details] == [1, 2, 3, 4]
    announced = {
        v1_id(each["dynamodb"]["NewImage"]["last_event"]["M"]["id"]["S"])
        for records in shards(on_stream)[1].values()
        for each in records
        if resending.is_change(each) and flat_id(project.rpartition("/")[2]) in each["dynamodb"]["Keys"]["pk"]["S"]
    }
    assert {event["id"] for event in world.bus.details} == announced
    assert redrive() == {"sent": 0, **DONE}
    assert len(world.bus.events) == 4


def test_a_deletion_that_the_stream_gave_up_is_purged(on_stream: Crowd, template: Template, redrive: Redrive) -> None:
    world = on_stream.world
    project = world.new_project()
    world.new_record(project, "tasks")
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    partition = keys.project(tenant, flat_id(project.rpartition("/")[2])).pk

    def rows() -> int:
        condition = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": partition}}}
        found: int = on_stream.client.query(TableName="atrium", **condition)["Count"]
        return found

    assert world("DELETE", project).status == 204
    assert rows() > 0
    assert give_up(on_stream, template, "PurgeDeleted", project) == 1
    assert redrive() == {"sent": 1, **DONE}
    assert rows() == 0


def test_changes_that_the_bus_does_not_take_stay_and_are_published_when_it_does(
    on_stream: Crowd, template: Template, redrive: Redrive
) -> None:
    world = on_stream.world
    project = world.new_project()
    world.bus.events.clear()
    assert give_up(on_stream, template, "PublishEvents", project) == 1
    world.bus.before = lambda entries: range(len(entries))
    for _ in range(2):
        summary = redrive()
        assert (summary["sent"], summary["failed"], summary["left"], summary["complete"]) == (0, 1, 0, True)
        (detail,) = summary["details"]
        assert (detail["outcome"], detail["why"]) == ("failed", "PublishEvents says why in its log")
    world.bus.before = lambda _: ()
    assert redrive() == {"sent": 1, **DONE}
    assert [event["sequence"] for event in world.bus.details] == [1]


def test_what_the_stream_has_forgotten_is_left_and_told(on_stream: Crowd, template: Template, redrive: Redrive) -> None:
    arn, _ = shards(on_stream)
    info = {
        "shardId": "shardId-00000000000000000000-00000000",
        "startSequenceNumber": "000000000000000000001",
        "endSequenceNumber": "000000000000000000002",
        "batchSize": 2,
        "streamArn": arn,
    }
    on_stream.letters.add(
        "DeadLetters", {**failure("PublishEvents", "RecordAgeExceeded", 3), "DDBStreamBatchInfo": info}
    )
    summary = redrive()
    assert (summary["sent"], summary["failed"], summary["left"], summary["complete"]) == (0, 0, 1, True)
    assert summary["details"][0]["why"] == "The stream has forgotten what it is about"
    assert len(waiting(on_stream.letters)) == 1


def waiting(letters: Letters) -> list[Any]:
    """The bodies of what may be received, hidden for no time."""
    _, answer = letters.answer("ReceiveMessage", {"MaxNumberOfMessages": 1000, "VisibilityTimeout": 0})
    return [json.loads(each["Body"]) for each in answer["Messages"]]


def test_what_is_read_from_the_stream_is_what_the_templates_filters_let_through(
    on_stream: Crowd, template: Template
) -> None:
    world = on_stream.world
    project = world.new_project()
    for kind in RECORDS:
        assert world("DELETE", world.new_record(project, kind)).status == 204
    assert world("DELETE", project).status == 204
    assert on_stream.invoke(template.functions["SweepDeleted"], {})["found"] >= 0
    sources: dict[str, EventSource] = {source.function.name: source for source in template.event_sources}
    records = [each for found in shards(on_stream)[1].values() for each in found]
    for name, wanted in (("PublishEvents", resending.is_change), ("PurgeDeleted", resending.is_deletion)):
        patterns = [EventPattern.load(pattern) for pattern in sources[name].filters]
        by_template = [
            each
            for each in records
            if any(pattern.matches_event(json.loads(json.dumps(each, default=str))) for pattern in patterns)
            and each["dynamodb"]["Keys"]["pk"]["S"] != keys.PULSE.pk
        ]
        assert by_template == [each for each in records if wanted(each)]
        assert 0 < len(by_template) < len(records)


def test_redrive_may_do_what_it_does_and_no_more(
    on_stream: Crowd, template: Template, redrive: Redrive, trace: Trace
) -> None:
    """Its nested invocations are answered by functions of their own processes."""
    world = on_stream.world
    project, doomed = world.new_project(), world.new_project()
    assert world("DELETE", doomed).status == 204
    give_up(on_stream, template, "PublishEvents", project)
    give_up(on_stream, template, "PurgeDeleted", doomed)
    for letter in (requested(world), created(world, project), {"detail-type": "other"}):
        on_stream.letters.add("DeadLetters", letter)
    trace.clear()
    assert redrive()["sent"] == 4
    own = [each for each in statements(template, "Redrive") if each["Resource"] not in ALWAYS]
    assert needless(own, trace.asked("Redrive")) == set()


# ---------------------------------------------------------------- events and messages


@pytest.fixture
def letters(world: World, environment: Callable[[str, str], None], tmp_path: Path) -> Letters:
    """The queue of a world whose Redrive runs in this process."""
    environment(os.environ["AWS_ENDPOINT_URL_DYNAMODB"], world.bus.url)
    return Letters(tmp_path / "dead-letters.jsonl")


def envelope(source: str, kind: str, detail: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": kind,
        "source": source,
        "account": ACCOUNT,
        "time": instant(0),
        "region": REGION,
        "resources": [],
        "detail": detail,
    }


def requested(world: World) -> dict[str, Any]:
    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    detail = {"id": "order-1", "tenant_id": tenant, "principal_id": world.uuid("owner"), "name": "Gemini"}
    return envelope("crm", "project.requested", detail)


def created(world: World, project: str) -> dict[str, Any]:
    made = world("GET", project).body
    ids = {"id": str(uuid4()), "tenant_id": made["tenant_id"], "space_id": made["space_id"], "project_id": made["id"]}
    return envelope("atrium", "project.created", {**ids, "resource": made})


@pytest.mark.parametrize("failed", [True, False], ids=["AddViewer failed on it", "it did not reach AddViewer"])
def test_a_new_project_that_add_viewer_missed_has_its_viewer_once(
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


def test_what_fails_again_and_what_is_unknown_stays_and_does_not_keep_the_rest(
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


def test_a_run_whose_time_is_over_says_so_and_hides_nothing(
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


def test_redrive_takes_no_request_that_it_does_not_know(world: World, letters: Letters, template: Template) -> None:
    letters.add("DeadLetters", requested(world))
    with pytest.raises(FunctionFailed, match="Refused: dry_run: Extra inputs are not permitted"):
        call(template.functions["Redrive"], {"dry_run": True})
    assert len(waiting(letters)) == 1


# ---------------------------------------------------------------- what the publisher lets go of


def change(world: World, project: str) -> Record:
    """The stream's record of a project's last change."""
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


def test_an_image_that_cannot_be_read_is_let_go_and_published_once_it_can(
    world: World, letters: Letters, redrive: Redrive, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    projects = [world.new_project() for _ in range(3)]
    ids = [world("GET", project).body["id"] for project in projects]
    records = [change(world, project) for project in projects]
    read = outbox.event_in

    def unreadable(record: Record) -> Any:
        if record["dynamodb"]["SequenceNumber"] == records[1]["dynamodb"]["SequenceNumber"]:
            raise KeyError("last_event")
        return read(record)

    with monkeypatch.context() as patch:
        patch.setattr(streams, "event_in", unreadable)
        answer = call(template.functions["PublishEvents"], {"Records": records})
        assert answer == {"batchItemFailures": []}, "nothing behind it waits"
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
    event = records[1]["dynamodb"]["NewImage"]["last_event"]["M"]["id"]["S"]
    assert world.bus.details[-1]["id"] == v1_id(event)
    assert waiting(letters) == []


@pytest.mark.parametrize("whole", [True, False], ids=["the request is refused", "the entry is refused"])
def test_an_event_that_the_bus_refuses_for_good_is_let_go_and_published_once_it_is_taken(
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


def test_what_no_letter_could_be_left_about_is_reported_so_that_the_stream_brings_it_again(
    world: World, letters: Letters, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = change(world, world.new_project())
    del record["dynamodb"]["NewImage"]["last_event"]
    monkeypatch.setattr(Letters, "answer", lambda *_: (503, {}))
    answer = call(template.functions["PublishEvents"], {"Records": [record]})
    assert answer == {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}


@pytest.mark.parametrize("text", ['"', "\\", "\n", "é", "\U0001f600", "\uffff", "\ufffe"], ids=ascii)
def test_the_largest_item_of_a_table_fits_into_a_letter(world: World, letters: Letters, text: str) -> None:
    """DynamoDB takes 400 KB of an item; SQS 1 MiB of a message, and not every character."""
    image = {"pk": {"S": "T#x#P#y"}, "last_event": {"S": text * (400 * 1024 // len(text.encode()))}}
    record = {"dynamodb": {"NewImage": image, "OldImage": {**image, "sequence": {"N": "1"}}, "SequenceNumber": "1"}}
    dead_letters().leave(record, "EventUnreadable", SimpleNamespace(aws_request_id="r", invoked_function_arn="a"))
    (letter,) = waiting(letters)
    (kept,) = letter["requestPayload"]["Records"]
    assert kept["dynamodb"] == {**record["dynamodb"], "OldImage": {"sequence": {"N": "1"}}}


# ---------------------------------------------------------------- on a laptop


def made_again(directory: Path) -> tuple[int, Any]:
    """The status and the summary of `make redrive`."""
    command = [sys.executable, "-m", "local.redrive"]
    environment = {**os.environ, "DATA_DIR": str(directory)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=NET)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def test_make_redrive_sends_again_what_a_laptop_gave_up_while_it_runs_and_when_it_does_not(tmp_path: Path) -> None:
    assert made_again(tmp_path) == (2, f"{tmp_path} holds no data of `make run`. Set DATA_DIR.\n")
    letters = Letters(tmp_path / "dead-letters.jsonl")
    with running(tmp_path) as instance:
        world = instance.world
        letters.add("DeadLetters", {"messageId": "m-1", "body": json.dumps(requested(world))})
        assert made_again(tmp_path) == (0, {"sent": 1, **DONE})
        (project,) = world("GET", world.projects()).body["data"]
        letters.add("DeadLetters", {"detail-type": "other"})
        letters.add("DeadLetters", {"messageId": "m-2", "body": json.dumps(requested(world))})
        instance.kill_group()
        wait_for(lambda: not instance.members())
    status, summary = made_again(tmp_path)
    assert (status, summary["sent"], summary["left"]) == (1, 1, 1)
    assert waiting(letters) == [{"detail-type": "other"}]
    with running(tmp_path) as instance:
        assert instance.world("GET", instance.world.projects()).body["data"] == [project]
