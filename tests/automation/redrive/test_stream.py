"""Changes that the stream has given up are published or purged once."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from moto.events.models import EventPattern

from atrium import keys
from atrium.store import redrive as resending
from local.event_sources import StreamSource, failure
from local.template import EventSource, Function, Template
from tests.support.client import RECORDS, flat_id, v1_id
from tests.support.iam import ALWAYS, needless, of_its_calls, statements
from tests.support.redrive import DONE, Record, Redrive, created, requested, waiting
from tests.support.trace import Trace, enforced
from tests.support.world import Crowd


@pytest.fixture
def on_stream(crowd: Crowd, template: Template, environment: Callable[[str, str], None]) -> Iterator[Crowd]:
    """The crowd with an empty queue; this process has Redrive's permissions."""
    environment(crowd.client.meta.endpoint_url, crowd.world.bus.url)
    crowd.letters.answer("ReceiveMessage", {"MaxNumberOfMessages": 1000, "VisibilityTimeout": 10**6})
    with enforced(template):
        yield crowd
    crowd.world.bus.before = lambda _: ()


def shards(crowd: Crowd) -> tuple[str, dict[str, list[Record]]]:
    """The ARN of the table's stream, and all its records by shard."""
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
    """Lets the stream give up a project's records for a function, and returns the number of letters."""
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
    raise AssertionError("Expired records invoke no function.")


def test_changes_given_up_by_the_stream_are_published_once(
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
        v1_id(each["dynamodb"]["NewImage"]["last_events"]["L"][0]["S"])
        for records in shards(on_stream)[1].values()
        for each in records
        if resending.is_change(each) and flat_id(project.rpartition("/")[2]) in each["dynamodb"]["Keys"]["pk"]["S"]
    }
    assert {event["id"] for event in world.bus.details} == announced
    assert redrive() == {"sent": 0, **DONE}
    assert len(world.bus.events) == 4


def test_a_deletion_given_up_by_the_stream_is_purged(on_stream: Crowd, template: Template, redrive: Redrive) -> None:
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


def test_changes_refused_by_the_bus_stay_and_are_published_once_accepted(
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


def test_a_letter_about_expired_stream_records_stays_and_is_reported(
    on_stream: Crowd, template: Template, redrive: Redrive
) -> None:
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


def test_redrive_reads_the_records_of_the_templates_filters(on_stream: Crowd, template: Template) -> None:
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


def test_redrive_uses_all_of_its_permissions(
    on_stream: Crowd, template: Template, redrive: Redrive, trace: Trace
) -> None:
    """Separate processes answer its nested invocations. Those of the table are used in test_ledger.py."""
    world = on_stream.world
    project, doomed = world.new_project(), world.new_project()
    assert world("DELETE", doomed).status == 204
    give_up(on_stream, template, "PublishEvents", project)
    give_up(on_stream, template, "PurgeDeleted", doomed)
    for letter in (requested(world), created(world, project), {"detail-type": "other"}):
        on_stream.letters.add("DeadLetters", letter)
    trace.clear()
    assert redrive()["sent"] == 4
    of_the_table = of_its_calls(template, "Redrive")
    own = [each for each in statements(template, "Redrive") if each["Resource"] not in ALWAYS]
    own = [each for each in own if each not in of_the_table]
    assert needless(own, trace.asked("Redrive")) == set()
