"""From a change to its effects: the engine's stream, the functions behind it and the bus, on a real instance."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest

from atrium import keys
from local.template import ACCOUNT, REGION, TABLE_NAME, Template
from tests.support.changes import require_published_form
from tests.support.client import World, flat_id, flat_path, new_key
from tests.support.clock import NET
from tests.support.processes import Instance, running, wait_for
from tests.support.requests import EVERY_ROUTE, a_project
from tests.support.world import full


class Restarting:
    """An instance on one data directory, which a test may end and start again: `now` is the one that runs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._stack = ExitStack()
        self.start()

    def start(self) -> None:
        self.stop()
        self.now = self._stack.enter_context(running(self.directory))

    def stop(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def restarting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restarting]:
    made = Restarting(tmp_path_factory.mktemp("pump"))
    yield made
    made.stop()


@pytest.fixture
def instance(restarting: Restarting) -> Instance:
    return restarting.now


def lines(directory: Path, name: str = "events.jsonl") -> list[Any]:
    path = directory / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def events(directory: Path, project: str) -> list[tuple[int, str]]:
    """Sequence and type of a project's published events, in the file's order; `project` is its v1 path."""
    id = project.rpartition("/")[2]
    return [(event["sequence"], event["type"]) for event in lines(directory) if event.get("project_id") == id]


def client(directory: Path, service: Any) -> Any:
    """A client of a running instance."""
    endpoints = json.loads((directory / "endpoints.json").read_text())
    return boto3.client(
        service,
        endpoint_url=endpoints["dynamodb" if service == "dynamodb" else "eventbridge"],
        region_name=REGION,
        aws_access_key_id=endpoints["access_key_id"],
        aws_secret_access_key="unused",
    )


def items(directory: Path, pk: str) -> list[Any]:
    found: list[Any] = client(directory, "dynamodb").query(
        TableName=TABLE_NAME,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": pk}},
        ConsistentRead=True,
    )["Items"]
    return found


def until_published(instance: Instance) -> None:
    """Waits until all earlier changes are published, by publishing a later one."""
    later = instance.world.new_project("Later")
    wait_for(lambda: events(instance.directory, later))


def test_each_change_is_one_event_in_sequence(instance: Instance) -> None:
    world = instance.world
    project = world.new_project("Apollo")
    wait_for(lambda: events(instance.directory, project))
    world.new_member(project, "viewer", "viewer")
    for number in range(20):
        assert world("PATCH", project, {"name": f"Apollo {number}"}).status == 200
    assert world("DELETE", project).status == 204
    wait_for(lambda: len(events(instance.directory, project)) >= 23)
    until_published(instance)
    sequences, types = zip(*events(instance.directory, project), strict=True)
    assert list(sequences) == list(range(1, 24))
    assert types == ("project.created", "member.added", *["project.updated"] * 20, "project.deleted")
    assert lines(instance.directory, "dead-letters.jsonl") == []
    assert f"event project.deleted {project.rpartition('/')[2]} 23\n" in instance.output()


def test_an_event_holds_the_project_at_its_time(instance: Instance) -> None:
    world = instance.world
    path = world.projects()
    made = world("POST", path, content=b'{"name": "Exact", "description": {"price": 1.10}}').body
    wait_for(lambda: events(instance.directory, made["id"]))
    (line,) = [
        line for line in (instance.directory / "events.jsonl").read_text().splitlines() if f'"{made["id"]}"' in line
    ]
    assert json.loads(line)["resource"] == made
    assert '{"price":1.10}' in line


def test_a_deleted_project_is_purged(instance: Instance) -> None:
    world = instance.world
    project = world.new_project("Doomed")
    world.new_member(project, "viewer", "viewer")
    tenant, id = flat_id(world.dev["tenants"]["acme"]["tenant_id"]), flat_id(project.rpartition("/")[2])
    assert len(items(instance.directory, keys.project(tenant, id).pk)) == 3
    assert world("DELETE", project).status == 204
    wait_for(lambda: not items(instance.directory, keys.project(tenant, id).pk))
    queued = keys.purge(tenant, id)
    wait_for(lambda: queued.sk not in {row["sk"]["S"] for row in items(instance.directory, queued.pk)})


def test_a_foreign_record_delays_no_other(instance: Instance) -> None:
    """The foreign record becomes a dead letter, and the events before and after it are published."""
    world = instance.world
    before = world.new_project("Before")
    poison = {"pk": {"S": "T#x#P#y"}, "sk": {"S": "META"}, "sequence": {"N": "1"}}
    client(instance.directory, "dynamodb").put_item(TableName=TABLE_NAME, Item=poison)
    after = world.new_project("After")
    wait_for(lambda: lines(instance.directory, "dead-letters.jsonl"))
    wait_for(lambda: events(instance.directory, before) and events(instance.directory, after))
    (letter,) = lines(instance.directory, "dead-letters.jsonl")
    assert letter["queue"] == "DeadLetters"
    assert letter["requestPayload"]["Records"][0]["dynamodb"]["NewImage"] == poison
    assert letter["requestContext"]["functionArn"].endswith(":PublishEvents")


def test_a_project_requested_by_an_event_is_created_once(instance: Instance, template: Template) -> None:
    world = instance.world
    acme = world.dev["tenants"]["acme"]
    detail = {
        "id": "order-1",
        "tenant_id": acme["tenant_id"],
        "principal_id": acme["principals"]["owner"]["principal_id"],
        "name": "Asked for",
    }
    bus = template.functions["Provision"].environment["BUS_NAME"]
    entry = {"EventBusName": bus, "Source": "crm", "DetailType": "project.requested"}
    for each in (detail, detail, {**detail, "id": "order-2", "name": "Asked for later"}):
        entry["Detail"] = json.dumps(each)
        assert client(instance.directory, "events").put_events(Entries=[entry])["FailedEntryCount"] == 0

    def made(name: str) -> list[str]:
        listed = world("GET", world.projects()).body["data"]
        return [project["id"] for project in listed if project["name"] == name]

    wait_for(lambda: made("Asked for") and made("Asked for later"))
    (project,) = made("Asked for")
    wait_for(lambda: events(instance.directory, project) == [(1, "project.created")])


def test_a_message_that_is_sent_to_a_queue_reaches_its_function(instance: Instance, template: Template) -> None:
    world = instance.world
    acme = world.dev["tenants"]["acme"]
    (queue,) = (each.name for each in template.queues.values() if each.name == "ProjectRequests")
    detail = {
        "id": "order-3",
        "tenant_id": acme["tenant_id"],
        "principal_id": acme["principals"]["owner"]["principal_id"],
        "name": "Asked for by a message",
    }
    body = {"id": "1", "source": "crm", "detail-type": "project.requested", "detail": detail}
    client(instance.directory, "sqs").send_message(
        QueueUrl=f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{queue}", MessageBody=json.dumps(body), DelaySeconds=1
    )
    wait_for(lambda: detail["name"] in [each["name"] for each in world("GET", world.projects()).body["data"]])


def test_a_parameter_turns_on_the_sample_reaction(instance: Instance, tmp_path: Path) -> None:
    """The demo tenants' ids are the same everywhere."""
    viewer = instance.world.uuid("outsider")
    with running(tmp_path, PARAMETERS=f"ViewerPrincipal={viewer}") as configured:
        world = configured.world
        project = world.new_project("Watched")
        wait_for(lambda: world("GET", f"{project}/members/{viewer}").status == 200)
        assert world("GET", flat_path(project), by="outsider").status == 200
        wait_for(lambda: events(tmp_path, project) == [(1, "project.created"), (2, "member.added")])


def test_no_address_and_no_secret_is_in_an_event_or_a_log(instance: Instance) -> None:
    """After a request on every route, and the automation behind it."""
    world = instance.world
    project = a_project(world)
    for route, request in EVERY_ROUTE.items():
        if route not in ("DeleteProject", "V1DeleteProject"):
            method, path, body = request(world, project)
            assert world(method, path, body, key=new_key()).status < 500
    assert world("DELETE", project).status == 204
    wait_for(lambda: events(instance.directory, project)[-1][1] == "project.deleted")
    said = instance.output().partition("Ctrl-C stops everything.")[2]
    published = (instance.directory / "events.jsonl").read_text()
    people = [one for tenant in world.dev["tenants"].values() for one in tenant["principals"].values()]
    for text in (said, published):
        assert "@" not in text
        assert not [one for one in people if one["token"] in text or one["api_key"] in text]
    for event in lines(instance.directory):
        require_published_form(event)


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_a_commit_right_before_the_end_is_published_after_a_restart(
    restarting: Restarting, kind: signal.Signals
) -> None:
    """No event is lost, and a repeat has the id of the first one."""
    directory = restarting.directory
    letters = lines(directory, "dead-letters.jsonl")
    made: dict[str, int] = {}
    for _ in range(full(1, 15)):
        instance = restarting.now
        for project in made:
            made[project] = _touch(instance.world, project)
        made[instance.world.new_project("Last")] = 1
        if kind == signal.SIGTERM:
            server = next(
                pid for pid in instance.members() if b"local.run" in Path(f"/proc/{pid}/cmdline").read_bytes()
            )
            os.kill(server, kind)
            instance.process.wait(NET)
        else:
            instance.kill_group()
        wait_for(lambda instance=instance: not instance.members())  # type: ignore[misc]
        restarting.start()
    for project, changes in made.items():
        wait_for(lambda: {n for n, _ in events(directory, project)} == set(range(1, changes + 1)))  # noqa: B023
    until_published(restarting.now)
    projects = {project.rpartition("/")[2] for project in made}
    published = [event for event in lines(directory) if event.get("project_id") in projects]
    ids = {(event["project_id"], event["sequence"]): event["id"] for event in published}
    assert len(ids) == sum(made.values())
    assert len(set(ids.values())) == len(ids)
    assert all(ids[event["project_id"], event["sequence"]] == event["id"] for event in published)
    if kind == signal.SIGTERM:
        assert len(published) == len(ids), "an orderly end repeats no event"
    assert lines(directory, "dead-letters.jsonl") == letters
    assert restarting.now.process.poll() is None


def _touch(world: World, project: str) -> int:
    """Changes a project, and returns its new sequence."""
    assert world("PATCH", project, {"name": new_key()}).status == 200
    return world("GET", flat_path(project)).version
