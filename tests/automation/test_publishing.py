"""Every commit is published, and no other event, under all failures; with the real stream, and the publisher in
processes.
"""

import json
import multiprocessing
import os
import random
import signal
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.functions import FunctionFailed
from local.template import Template
from tests.support.changes import require_published_form
from tests.support.client import RECORDS, World, flat_path, v1_id
from tests.support.clock import run_alone
from tests.support.stream import Record, Stream, changes
from tests.support.world import Crowd, full


def changes_of(crowd: Crowd, projects: set[str]) -> list[Record]:
    """The stream's records of the changes of these projects."""
    found = []
    for record in changes(Stream(crowd, "TRIM_HORIZON").records()):
        change = record["dynamodb"]
        if v1_id(change["NewImage"].get("id", {"S": ""})["S"]) in projects:
            del change["ApproximateCreationDateTime"]
            found.append(record)
    return found


class Weather:
    """Lets every fifth call fail, in three ways: PutEvents accepts a part of its entries and answers 200, or
    accepts all but its answer is lost, or the publisher is killed once the entries are accepted.
    """

    def __init__(self, crowd: Crowd, template: Template, chance: random.Random) -> None:
        self._crowd, self._chance = crowd, chance
        self._function = template.functions["PublishEvents"]
        self._victim: Any = None
        self.kills = self.halves = self.deaf = 0
        crowd.world.bus.before, crowd.world.bus.after = self._before, self._after

    def publish(self, batch: Sequence[Record]) -> int:
        """The number of records done, from the start of the batch, by Lambda's rules."""
        event = {"Records": list(batch)}
        try:
            if self._chance.random() < 0.2:
                return self._publish_and_die(event)
            answer = self._crowd.invoke(self._function, event)
        except FunctionFailed:
            return 0
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        positions = [record["dynamodb"]["SequenceNumber"] for record in batch]
        return next((place for place, position in enumerate(positions) if position in failed), len(batch))

    def _publish_and_die(self, event: Mapping[str, Any]) -> int:
        methods = multiprocessing.get_context("forkserver")
        victim = methods.Process(target=run_alone, args=(self._crowd.environment, self._function, dict(event)))
        victim.start()
        self._victim = victim
        victim.join()
        return 0

    def _before(self, entries: Sequence[Any]) -> list[int]:
        if self._chance.random() < 0.2:
            self.halves += 1
            return [place for place in range(len(entries)) if self._chance.random() < 0.5]
        return []

    def _after(self, entries: Sequence[Any]) -> None:
        victim, self._victim = self._victim, None
        if victim is not None:
            os.kill(victim.pid, signal.SIGKILL)
            victim.join()
            self.kills += 1
            raise ConnectionError
        if self._chance.random() < 0.2:
            self.deaf += 1
            raise ConnectionError


def work_on(world: World, project: str, turns: int, chance: random.Random) -> None:
    """Makes changes of all kinds to a project, and sometimes deletes it at the end."""
    task = world.new_record(project, "tasks")
    for _ in range(turns):
        kind = chance.choice(sorted(RECORDS))
        method, path, body = chance.choice(
            [
                ("PATCH", project, {"name": f"Apollo {chance.random()}"}),
                ("POST", f"{project}/{kind}", RECORDS[kind]),
                ("POST", f"{project}/members", {"principal_id": world.uuid("viewer"), "role_id": world.role("viewer")}),
                ("DELETE", f"{project}/members/{world.uuid('viewer')}", None),
                ("PATCH", task, {"status": chance.choice(["inProgress", "onHold", "completed"])}),
                ("POST", f"{flat_path(task)}/notes", {"content": "Remember"}),
            ]
        )
        assert world(method, path, body).status in (200, 201, 202, 204, 404, 409)
    if chance.random() < 0.3:
        assert world("DELETE", project).status == 204


@pytest.mark.timeout(900)
def test_every_commit_is_published_once_and_no_other_event_under_faults(crowd: Crowd, template: Template) -> None:
    world, chance = crowd.world, random.Random(7)
    crowd.proxy.conflicts = True
    mishaps = random.Random(11)
    crowd.proxy.before = lambda operation, request: "InternalServerError" if mishaps.random() < 0.1 else None
    projects = [world.new_project() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda p: work_on(world, p, full(25, 250), random.Random(p)), projects))
    crowd.proxy.before = lambda operation, request: None

    ids = {project.rpartition("/")[2] for project in projects}
    records = changes_of(crowd, ids)
    assert len(records) >= full(150, 1_500)
    weather = Weather(crowd, template, chance)
    world.bus.events.clear()
    try:
        waiting = batches(records, chance)
        while waiting:
            # Batches of shards are delivered in any order, and some twice.
            batch = waiting.pop(chance.randrange(len(waiting)))
            done = weather.publish(batch)
            if done < len(batch):
                waiting.append(batch[done:])
            elif chance.random() < 0.2:
                waiting.append(batch)
    finally:
        world.bus.before, world.bus.after = (lambda _: ()), (lambda _: None)

    published = [detail for detail in world.bus.details if detail["project_id"] in ids]
    by_id: dict[str, set[str]] = defaultdict(set)
    sequences: dict[str, set[int]] = defaultdict(set)
    for detail in published:
        require_published_form(detail)
        by_id[detail["id"]].add(json.dumps(detail, sort_keys=True))
        sequences[detail["project_id"]].add(detail["sequence"])
    assert {len(forms) for forms in by_id.values()} == {1}, "repeats are equal"
    committed = {
        v1_id(event["S"]) for record in records for event in record["dynamodb"]["NewImage"]["last_events"]["L"]
    }
    assert set(by_id) == committed
    assert len(committed) == len(records), "one event for each commit"
    for project in ids:
        assert sequences[project] == set(range(1, max(sequences[project]) + 1)), "no gap"
    assert len(published) > len(committed), "no event was repeated"
    assert min(weather.kills, weather.halves, weather.deaf) > 0, vars(weather)


def batches(records: list[Record], chance: random.Random) -> list[list[Record]]:
    found = []
    position = 0
    while position < len(records):
        size = chance.randint(1, 40)
        found.append(records[position : position + size])
        position += size
    return found


def test_a_record_without_an_event_becomes_a_dead_letter_and_the_rest_of_its_batch_is_published(
    crowd: Crowd, template: Template
) -> None:
    world = crowd.world
    projects = [world.new_project() for _ in range(3)]
    first, second, third = changes_of(crowd, {project.rpartition("/")[2] for project in projects})
    del second["dynamodb"]["NewImage"]["last_events"]
    world.bus.events.clear()
    everything = {"MaxNumberOfMessages": 1000, "VisibilityTimeout": 10**6}
    crowd.letters.answer("ReceiveMessage", everything)  # removes the letters of other tests
    answer = crowd.invoke(template.functions["PublishEvents"], {"Records": [first, second, third]})
    assert answer == {"batchItemFailures": []}
    _, found = crowd.letters.answer("ReceiveMessage", everything)
    (letter,) = (json.loads(each["Body"]) for each in found["Messages"])
    assert letter["requestPayload"]["Records"][0]["dynamodb"]["NewImage"] == second["dynamodb"]["NewImage"]
    names = {detail["project_id"] for detail in world.bus.details}
    assert names == {v1_id(record["dynamodb"]["NewImage"]["id"]["S"]) for record in (first, third)}


def test_refused_events_are_reported_and_published_once_the_bus_accepts_them(crowd: Crowd, template: Template) -> None:
    world = crowd.world
    records = changes_of(crowd, {world.new_project().rpartition("/")[2] for _ in range(3)})
    first, second, third = (v1_id(record["dynamodb"]["NewImage"]["id"]["S"]) for record in records)
    world.bus.events.clear()
    world.bus.before = lambda entries: [place for place, entry in enumerate(entries) if second in entry["Detail"]]
    try:
        answer = crowd.invoke(template.functions["PublishEvents"], {"Records": records})
    finally:
        world.bus.before = lambda _: ()
    assert answer == {"batchItemFailures": [{"itemIdentifier": records[1]["dynamodb"]["SequenceNumber"]}]}
    assert [detail["project_id"] for detail in world.bus.details] == [first, third]
    assert crowd.invoke(template.functions["PublishEvents"], {"Records": records[1:]}) == {"batchItemFailures": []}
    assert [detail["project_id"] for detail in world.bus.details] == [first, third, second, third]


def test_an_image_without_a_new_sequence_is_no_change(crowd: Crowd, template: Template) -> None:
    world = crowd.world
    (record,) = changes_of(crowd, {world.new_project().rpartition("/")[2]})
    record["dynamodb"]["OldImage"] = record["dynamodb"]["NewImage"]
    world.bus.events.clear()
    assert crowd.invoke(template.functions["PublishEvents"], {"Records": [record]}) == {"batchItemFailures": []}
    assert world.bus.events == []


def test_a_resource_that_is_too_long_is_published_without_its_longest_fields(crowd: Crowd, template: Template) -> None:
    world = crowd.world
    project = world.new_project()
    long, short = "\U0001f600" * 2_000, '"' * 1_000
    for fields in ({"parameters": long, "metric": long, "result": short}, {"conclusion": long * 5}, {}):
        body = json.dumps(RECORDS["experiments"] | fields, ensure_ascii=False)
        assert world("POST", f"{project}/experiments", content=body.encode()).status == 201
    records = changes_of(crowd, {project.rpartition("/")[2]})
    world.bus.events.clear()
    assert crowd.invoke(template.functions["PublishEvents"], {"Records": records}) == {"batchItemFailures": []}
    events = sorted(world.bus.details, key=lambda detail: detail["sequence"])
    assert [detail.get("omitted") for detail in events] == [None, ["parameters"], ["conclusion"], None]
    resource = events[1]["resource"]
    assert "parameters" not in resource
    assert (resource["metric"], resource["result"]) == (long, short)
    for detail in events:
        require_published_form(detail)
        assert len(json.dumps(detail, ensure_ascii=False).encode()) < 16 * 1024
