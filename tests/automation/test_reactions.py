"""Functions that act on events follow HTTP's rules, act exactly once, and publish HTTP's events."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from atrium.settings import settings
from local import event_sources
from local.event_sources import MessageQueue, QueueSource
from local.functions import FunctionFailed, call
from local.template import Function, Template
from tests.support.changes import event, require_published_form
from tests.support.client import A_MOMENT, A_UUID, World, flat_path, new_key
from tests.support.clock import HANGS
from tests.support.rows import set_space_roles
from tests.support.world import Crowd, at_once, full


def request(world: World, **fields: Any) -> dict[str, Any]:
    """The request of an event for a project of acme's contributor."""
    wanted = {
        "id": "intake-7",
        "tenant_id": world.dev["tenants"]["acme"]["tenant_id"],
        "principal_id": world.uuid("contributor"),
        "name": "Website Redesign Q3",
    }
    return wanted | fields


def envelope(detail: dict[str, Any], id: str = "6a7e8feb-b491-4cf7-a9f1-bf3703467718") -> dict[str, Any]:
    """The bus's event with this detail."""
    return {
        "version": "0",
        "id": id,
        "detail-type": "project.requested",
        "source": "intake",
        "account": "000000000000",
        "time": "2026-11-22T12:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    }


def batch(*bodies: Any) -> dict[str, Any]:
    """A batch of the queue with these messages."""
    return {
        "Records": [
            {"messageId": f"message-{number}", "body": body if isinstance(body, str) else json.dumps(body)}
            for number, body in enumerate(bodies)
        ]
    }


Create = Callable[[dict[str, Any]], Any]


@pytest.fixture
def create(world: World, template: Template) -> Create:
    return partial(call, template.functions["CreateProjectFromEvent"])


def names(world: World) -> list[str]:
    found, query = [], "?limit=100"
    while True:
        page = world("GET", f"{world.projects()}{query}").body
        found += [project["name"] for project in page["data"]]
        if not page["meta"]["has_more"]:
            return found
        query = f"?limit=100&cursor={page['meta']['next_cursor']}"


def test_an_event_creates_the_project_of_a_request_by_its_principal(world: World, create: Create) -> None:
    made = create(request(world, client_name="Acme", description={"summary": "New", "budget": 1}))
    space = world.dev["tenants"]["acme"]["spaces"]["default"]
    assert made == {
        "id": A_UUID,
        "tenant_id": world.dev["tenants"]["acme"]["tenant_id"],
        "space_id": space,
        "name": "Website Redesign Q3",
        "manager_id": world.uuid("contributor"),
        "created_by": world.uuid("contributor"),
        "status": "active",
        "created_at": A_MOMENT,
        "updated_at": A_MOMENT,
        "description": {"summary": "New", "budget": 1},
    }
    project = f"{world.projects()}/{made['id']}"
    assert world("GET", project, by="contributor").body == made
    assert world("GET", flat_path(project)).body["clientName"] == "Acme"
    assert world("DELETE", project, by="contributor").status == 204, "its manager"


def test_a_creation_by_an_event_publishes_the_event_of_any_creation(world: World, create: Create) -> None:
    project = f"{world.projects()}/{create(request(world))['id']}"
    found = event(world, project)
    require_published_form(found)
    assert (found["type"], found["sequence"]) == ("project.created", 1)
    by = {"principal_id": world.uuid("contributor"), "kind": "user", "credential_id": None, "issued_by": None}
    assert found["actor"] == by


def test_a_repeated_event_creates_one_project(world: World, create: Create) -> None:
    made = create(request(world))
    assert create(request(world)) == made
    assert create(envelope(request(world))) == made
    assert create(batch(envelope(request(world)), envelope(request(world)))) == {"batchItemFailures": []}
    assert names(world) == ["Website Redesign Q3"]


def test_an_event_without_its_own_id_is_identified_by_the_buss_id(world: World, create: Create) -> None:
    wanted = request(world)
    del wanted["id"]
    made = create(envelope(wanted))
    assert create(envelope(wanted)) == made
    assert create(envelope(wanted, id="another"))["id"] != made["id"]
    assert len(names(world)) == 2


def test_a_space_may_be_named(world: World, create: Create) -> None:
    space = world.dev["tenants"]["acme"]["spaces"]["research"]
    assert create(request(world, space_id=space))["space_id"] == space


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name: Must not be empty"),
    ({"name": None}, "name: Input should be a valid string"),
    ({"owner": "x"}, "owner: Extra inputs are not permitted"),
    ({"id": "a b"}, "id: String should match pattern"),
    ({"tenant_id": "acme"}, "tenant_id: Must be an id that is a UUID"),
    ({"principal_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1"}, "principal_id: No such principal"),
    ({"tenant_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1"}, "principal_id: No such principal"),
    ({"space_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1"}, "Space not found."),
    ({"description": 5}, "description: Must be an object, a string or null"),
    ({"description": "\x00"}, "Text may not hold control characters"),
    ({"description": "x" * 40_000}, "body.description: Must have at most 32 KB as JSON"),
]


@pytest.mark.parametrize(("fields", "reason"), REFUSED, ids=lambda value: str(value)[:30])
def test_a_request_refused_over_http_is_refused_with_the_same_reason(
    world: World, create: Create, fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(FunctionFailed) as refused:
        create(request(world, **fields))
    assert refused.value.error_type == "Refused"
    assert reason in refused.value.message
    assert names(world) == []


def test_a_principal_without_the_permission_creates_no_project_by_an_event(world: World, create: Create) -> None:
    for name, reason in (
        ("viewer", "You may not create projects in this space."),
        ("outsider", "You do not have access to this space."),
    ):
        with pytest.raises(FunctionFailed, match=reason):
            create(request(world, principal_id=world.uuid(name)))
    with pytest.raises(FunctionFailed, match="No such principal"):
        create(request(world, principal_id=world.uuid("owner", "globex")))


def test_an_id_used_for_another_request_is_refused(world: World, create: Create) -> None:
    create(request(world))
    with pytest.raises(FunctionFailed, match="This id was used for another request"):
        create(request(world, name="Other"))


def test_an_invalid_message_is_reported_and_the_rest_of_its_batch_is_done(world: World, create: Create) -> None:
    answer = create(
        batch("not json", envelope(request(world, id="a")), envelope(request(world, id="b", name="")), "[]")
    )
    failures = [{"itemIdentifier": f"message-{number}"} for number in (0, 2, 3)]
    assert answer == {"batchItemFailures": failures}
    assert names(world) == ["Website Redesign Q3"]


def test_one_event_delivered_many_times_at_once_makes_one_project(crowd: Crowd, template: Template) -> None:
    crowd.proxy.conflicts = True
    function = template.functions["CreateProjectFromEvent"]
    for number in range(full(2, 20)):
        wanted = request(crowd.world, id=f"storm-{number}")
        results = at_once(*[partial(crowd.invoke, function, wanted)] * 16)
        assert all(made == results[0] for made in results)


def test_ten_requests_at_the_time_limit_are_each_done_once(
    crowd: Crowd, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first calls of each request to the table hang until its time is nearly up. By the functions' clock no
    invocation may exceed its timeout, which would return all ten messages to the queue.
    """
    monkeypatch.setattr(event_sources, "REDELIVERED_AFTER", 0.0)
    (source,) = (each for each in template.event_sources if each.function.name == "CreateProjectFromEvent")
    queue = MessageQueue(template.queues[source.source])
    letters: list[Any] = []
    unanswered: Counter[str] = Counter()
    receives: Counter[str] = Counter()

    def hangs(operation: str, asked: dict[str, Any]) -> str | None:
        text = json.dumps(asked, sort_keys=True)
        if operation == "TransactWriteItems" or "#I#" not in text or unanswered[text] == 3:
            return None
        unanswered[text] += 1
        return HANGS

    def invoke(function: Function, event: Mapping[str, Any]) -> Any:
        receives.update(json.loads(record["body"])["detail"]["name"] for record in event["Records"])
        return crowd.invoke(function, event)

    wanted = [f"Slow {number}" for number in range(10)]
    for name in wanted:
        queue.send(json.dumps(envelope(request(crowd.world, id=new_key(), name=name))))
    crowd.proxy.before = hangs
    deliveries = QueueSource(source, queue, invoke, lambda queue, letter: letters.append(letter))
    for _ in wanted:
        deliveries.deliver(within=0)
    crowd.proxy.before = lambda operation, asked: None
    assert queue.receive(10, within=0) == []
    assert letters == []
    assert receives == Counter(wanted)
    assert sum(unanswered.values()) == 30
    assert sorted(name for name in names(crowd.world) if name.startswith("Slow")) == wanted


# ---------------------------------------------------------------- the sample reaction


def created(world: World, project: str) -> dict[str, Any]:
    return {**envelope(event(world, project)), "detail-type": "project.created", "source": "atrium"}


@pytest.fixture
def add_viewer(world: World, template: Template, monkeypatch: pytest.MonkeyPatch) -> Create:
    """The sample function, configured with acme's outsider."""
    monkeypatch.setenv("VIEWER_PRINCIPAL", world.uuid("outsider"))
    settings.cache_clear()
    return partial(call, template.functions["AddViewer"])


def test_a_configured_principal_becomes_a_viewer_of_each_new_project(world: World, add_viewer: Create) -> None:
    project = world.new_project(by="contributor")
    happened = created(world, project)
    assert add_viewer(happened) == {"added": True}
    member = world("GET", f"{project}/members/{world.uuid('outsider')}").body
    assert member["role_id"] == world.role("viewer")
    found = event(world, project)
    require_published_form(found)
    assert (found["type"], found["sequence"]) == ("member.added", 2)
    assert found["actor"]["principal_id"] == world.uuid("contributor")
    assert add_viewer(happened) == {"added": False}, "a repeat"
    assert event(world, project) == found


def test_a_repeated_event_counts_as_done_after_its_principal_lost_every_role(
    world: World, create: Create, add_viewer: Create
) -> None:
    made = create(request(world))
    project = f"{world.projects()}/{made['id']}"
    happened = created(world, project)
    assert add_viewer(happened) == {"added": True}
    assert world("PATCH", project, {"manager_id": world.uuid("outsider")}).status == 200
    assert world("DELETE", f"{project}/members/{world.uuid('contributor')}").status == 204
    set_space_roles(world, "contributor", {})
    assert world("GET", project, by="contributor").status == 403
    assert create(request(world)) == made
    assert create(batch(envelope(request(world)))) == {"batchItemFailures": []}
    assert add_viewer(happened) == {"added": False}


def test_an_existing_viewer_or_a_deleted_project_is_no_failure(world: World, add_viewer: Create) -> None:
    project = world.new_project()
    happened = created(world, project)
    world.new_member(project, "outsider", "contributor")
    assert add_viewer(happened) == {"added": False}
    assert world("GET", f"{project}/members/{world.uuid('outsider')}").body["role_id"] == world.role("contributor")
    gone = world.new_project()
    happened = created(world, gone)
    assert world("DELETE", gone).status == 204
    assert add_viewer(happened) == {"added": False}


def test_projects_of_other_tenants_get_no_viewer(world: World, add_viewer: Create) -> None:
    project = world.new_project(tenant="globex")
    found = event_of_globex(world, project)
    assert add_viewer({**envelope(found), "detail-type": "project.created"}) == {"added": False}
    assert len(world("GET", f"{project}/members", tenant="globex").body["data"]) == 1


def event_of_globex(world: World, project: str) -> dict[str, Any]:
    own = world("GET", project, tenant="globex").body
    return {
        "id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1",
        "tenant_id": own["tenant_id"],
        "space_id": own["space_id"],
        "project_id": own["id"],
        "resource": own,
    }


def test_without_a_configured_principal_no_viewer_is_added(world: World, template: Template) -> None:
    project = world.new_project()
    assert call(template.functions["AddViewer"], created(world, project)) == {"added": False}
    assert len(world("GET", f"{project}/members").body["data"]) == 1
