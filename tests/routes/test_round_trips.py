"""How often a route asks the table, one call after the other; and that its role says exactly what it asks for."""

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from atrium.automation import streams
from atrium.settings import settings
from atrium.store.engine.table import table
from atrium.store.engine.wire import wire_item
from atrium.store.outbox import bus
from atrium.store.purge import queued
from local.functions import FunctionFailed, call
from local.template import ACCOUNT, REGION, ROOT, Function, Template, function_arn
from tests.conftest import inline
from tests.platform.test_template import routes
from tests.support import iam
from tests.support.client import RECORDS, World, flat_id, flat_path, in_camel_case, new_key
from tests.support.iam import needed_by_others, needless, of_its_calls, role_of, statements
from tests.support.trace import Trace
from tools.event_schemas import TYPES

Request = tuple[str, str, Any]

FLAT = {"projectName": "Apollo", "clientName": "Acme", "description": "To the moon"}


def in_kind(method: str, kind: str, *, flat: bool = False) -> Callable[[World, str], Request]:
    """A request to the list of a kind of records."""
    fields = in_camel_case(RECORDS[kind]) if flat else RECORDS[kind]
    body = fields if method == "POST" else None
    return lambda w, p: (method, f"{flat_path(p) if flat else p}/{kind}", body)


def on_record(method: str, kind: str, body: Any = None, *, flat: bool = False) -> Callable[[World, str], Request]:
    """A request to a new record."""

    def request(world: World, project: str) -> Request:
        path = world.new_record(project, kind)
        return method, flat_path(path) if flat else path, body

    return request


def on_task(method: str, suffix: str, body: Any, *, assign: bool = False) -> Callable[[World, str], Request]:
    """A flat request to a new task; one that assigns it to the contributor, a member."""

    def request(world: World, project: str) -> Request:
        path = flat_path(world.new_record(project, "tasks")) + suffix
        return method, path, {**body, "assignedTo": world.id("contributor")} if assign else body

    return request


# For each route a request that succeeds on a project `p` (v1 path) with the members owner, contributor and viewer;
# and the round trips it may take.
READS: dict[str, tuple[int, Callable[[World, str], Request]]] = {
    "ListProjects": (3, lambda w, p: ("GET", "/projects", None)),
    "GetProject": (1, lambda w, p: ("GET", flat_path(p), None)),
    "V1GetMe": (2, lambda w, p: ("GET", "/v1/me", None)),
    "V1ListRoles": (0, lambda w, p: ("GET", "/v1/roles", None)),
    "V1ListProjects": (1, lambda w, p: ("GET", w.projects(), None)),
    "V1GetProject": (1, lambda w, p: ("GET", p, None)),
    "V1ListMembers": (1, lambda w, p: ("GET", f"{p}/members", None)),
    "V1GetMember": (1, lambda w, p: ("GET", f"{p}/members/{w.uuid('viewer')}", None)),
    "GetReport": (1, lambda w, p: ("GET", f"{flat_path(p)}/report", None)),
    # Who is in it, then what they are called.
    "ListTeam": (2, lambda w, p: ("GET", f"{flat_path(p)}/team", None)),
    "SearchTeam": (1, lambda w, p: ("GET", f"{flat_path(p)}/team/search?q=outs", None)),
    "FindTeamMember": (1, lambda w, p: ("POST", f"{flat_path(p)}/team/find", {"email": "viewer@acme.example"})),
    # The task, then its notes, since it has some.
    "GetTask": (2, lambda w, p: ("GET", w.new_note(w.new_record(p, "tasks")).rpartition("/notes/")[0], None)),
    "ListTaskNotes": (1, lambda w, p: ("GET", f"{flat_path(w.new_record(p, 'tasks'))}/notes", None)),
    **{f"List{kind.title()}": (1, in_kind("GET", kind, flat=True)) for kind in RECORDS},
    **{f"V1List{kind.title()}": (1, in_kind("GET", kind)) for kind in RECORDS},
    **{f"V1Get{kind.title()[:-1]}": (1, on_record("GET", kind)) for kind in RECORDS},
}
WRITES: dict[str, Callable[[World, str], Request]] = {
    "CreateProject": lambda w, p: ("POST", "/projects", FLAT),
    "UpdateProject": lambda w, p: ("PUT", flat_path(p), FLAT),
    "DeleteProject": lambda w, p: ("DELETE", flat_path(p), None),
    "V1CreateProject": lambda w, p: ("POST", w.projects(), {"name": "Gemini"}),
    "V1UpdateProject": lambda w, p: ("PATCH", p, {"name": "Gemini", "manager_id": w.uuid("contributor")}),
    "V1DeleteProject": lambda w, p: ("DELETE", p, None),
    "V1AddMember": lambda w, p: (
        "POST",
        f"{p}/members",
        {"principal_id": w.uuid("outsider"), "role_id": w.role("viewer")},
    ),
    "V1UpdateMember": lambda w, p: ("PATCH", f"{p}/members/{w.uuid('viewer')}", {"role_id": w.role("manager")}),
    "V1RemoveMember": lambda w, p: ("DELETE", f"{p}/members/{w.uuid('viewer')}", None),
    "AddTeamMember": lambda w, p: ("POST", f"{flat_path(p)}/team", {"id": w.id("outsider")}),
    "RemoveTeamMember": lambda w, p: ("DELETE", f"{flat_path(p)}/team/{w.id('viewer')}", None),
    "UpdateTask": on_task("PUT", "", {"name": "B", "description": "C"}, assign=True),
    "SetTaskStatus": on_task("POST", "/status", {"status": "inProgress"}),
    "SetTaskPhase": on_task("PATCH", "/phase", {"phase": "evaluation"}),
    "ToggleTaskCompleted": on_task("PATCH", "/completed", {}),
    "ReassignTask": on_task("PATCH", "/reassign", {}, assign=True),
    "AddTaskNote": on_task("POST", "/notes", {"content": "Remember"}),
    "DeleteTaskNote": lambda w, p: ("DELETE", w.new_note(w.new_record(p, "tasks")), None),
    **{f"Create{kind.title()[:-1]}": in_kind("POST", kind, flat=True) for kind in RECORDS},
    **{f"Delete{kind.title()[:-1]}": on_record("DELETE", kind, flat=True) for kind in RECORDS},
    **{f"V1Create{kind.title()[:-1]}": in_kind("POST", kind) for kind in RECORDS},
    **{f"V1Update{kind.title()[:-1]}": on_record("PATCH", kind, {"phase": "business"}) for kind in RECORDS},
    **{f"V1Delete{kind.title()[:-1]}": on_record("DELETE", kind) for kind in RECORDS},
}
EVERY_ROUTE = {**{name: request for name, (_, request) in READS.items()}, **WRITES}


def a_project(world: World) -> str:
    path = world.new_project()
    world.new_member(path, "contributor", "contributor")
    world.new_member(path, "viewer", "viewer")
    return path


def test_every_route_is_counted(template: Template) -> None:
    behind_urls = {name for name, function in template.functions.items() if not is_automation(function)}
    assert set(EVERY_ROUTE) == behind_urls - {"Authorizer"} - set(routes(template, public=True))


@pytest.mark.parametrize("route", READS)
def test_a_read_takes_one_round_trip_and_its_permissions_are_what_it_uses(
    traced: tuple[World, Trace], template: Template, route: str
) -> None:
    world, trace = traced
    trips, request = READS[route]
    method, path, body = request(world, a_project(world))
    trace.clear()
    assert world(method, path, body).status == 200
    assert trace.round_trips(route) == trips
    assert trace.width(route) <= 3
    assert trace.round_trips("Authorizer") <= 1
    if method == "POST":  # it takes a key, though there is never a record
        assert world(method, path, body, by="outsider", key=new_key()).status in (403, 404)
    assert needless(of_its_calls(template, route), trace.asked(route)) == needed_by_others(template, route)


@pytest.mark.parametrize("route", WRITES)
def test_a_write_takes_two_round_trips_and_its_replay_and_refusal_one_and_its_permissions_are_what_it_uses(
    traced: tuple[World, Trace], template: Template, route: str
) -> None:
    """By a role in the space and by one in the project: two places where a role is held until the commit. One more asks
    whether a twin of a request that is refused was answered meanwhile, where it has a key.
    """
    world, trace = traced
    asked: list[iam.Request] = []
    method, path, body = WRITES[route](world, a_project(world))
    for refused, trips in ((None, 1), (new_key(), 2)):
        trace.clear()
        assert world(method, path, body, by="outsider", key=refused).status in (403, 404)
        assert trace.round_trips(route) == trips
        asked += trace.asked(route)
    # A creation goes by the role in the space, and a note is its author's.
    for by in ("owner",) if "Create" in route or route == "DeleteTaskNote" else ("owner", "contributor"):
        project = a_project(world)
        if by == "contributor":
            role = {"role_id": world.role("manager")}
            assert world("PATCH", f"{project}/members/{world.uuid(by)}", role).status == 200
        method, path, body = WRITES[route](world, project)
        key = new_key()
        trace.clear()
        first = world(method, path, body, by=by, key=key)
        assert first.status in (200, 201, 204), first
        assert trace.round_trips(route) == 2
        assert [call.operation for call in trace.of(route)].count("TransactWriteItems") == 1
        asked += trace.asked(route)
        trace.clear()
        second = world(method, path, body, by=by, key=key)
        assert (second.status, second.content, second.replayed) == (first.status, first.content, True)
        assert trace.round_trips(route) == 1
    assert needless(of_its_calls(template, route), asked) == needed_by_others(template, route)


def test_a_task_without_notes_is_read_in_one_round_trip(traced: tuple[World, Trace]) -> None:
    world, trace = traced
    task = flat_path(world.new_record(a_project(world), "tasks"))
    trace.clear()
    assert world("GET", task).body["notes"] == []
    assert trace.round_trips("GetTask") == 1


def test_listing_all_projects_takes_three_round_trips_for_the_first_seven_and_one_for_each_seven_more(
    traced: tuple[World, Trace],
) -> None:
    world, trace = traced
    for number in range(14):
        project = world.new_project(f"Apollo {number}", space=("default", "research")[number % 2])
        world.new_member(project, "viewer", "viewer")
    for count, trips in ((7, 3), (14, 4)):
        trace.clear()
        assert len(world("GET", f"/projects?limit={count}").body) == count
        assert trace.round_trips("ListProjects") == trips
        assert trace.width("ListProjects") <= 8


def test_one_call_brings_all_listed_projects_without_tasks_and_team(traced: tuple[World, Trace]) -> None:
    world, trace = traced
    for number in range(8):
        world.new_project(f"Apollo {number}")

    def calls() -> int:
        trace.clear()
        world("GET", "/projects")
        assert trace.round_trips("ListProjects") == 3
        return sum(call.operation in ("Query", "BatchGetItem") for call in trace.of("ListProjects"))

    # Who am I and what have I joined, the lists of two spaces, and the batch.
    assert calls() == 5
    member = world.new_member(world.new_project(), "viewer", "viewer")
    assert calls() == 6
    assert world("DELETE", member).status == 204
    assert calls() == 6


def test_a_caller_without_a_space_role_pays_a_second_trip_for_its_list(traced: tuple[World, Trace]) -> None:
    world, trace = traced
    world.new_member(world.new_project(), "outsider", "viewer")
    trace.clear()
    assert len(world("GET", world.projects(), by="outsider").body["data"]) == 1
    assert trace.round_trips("V1ListProjects") == 2


def test_the_authorizers_permissions_are_what_it_uses(traced: tuple[World, Trace], template: Template) -> None:
    world, trace = traced
    assert world("GET", "/v1/me").status == 200
    assert needless(of_its_calls(template, "Authorizer"), trace.asked("Authorizer")) == set()


# ---------------------------------------------------------------- functions without a URL, and what is not allowed


def sample(function: Function) -> Any:
    return json.loads((ROOT / f"events/{function.handler.replace('.', '/').removesuffix('/handler')}.json").read_text())


def to_provision(world: World, sample: Any) -> list[Any]:
    """A new tenant, and more of one that is there."""
    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    ada = {"name": "Ada", "email": "ada@acme.example", "roles": {tenant: "viewer"}}
    return [sample, {"request_token": "more", "tenant_id": tenant, "principals": [ada]}]


def to_purge(world: World, sample: Any) -> list[Any]:
    """A deleted project with members and records, as the stream tells of it. The sweep finds it by itself."""
    project = a_project(world)
    world.new_note(world.new_record(project, "tasks"))
    assert world("DELETE", project).status == 204
    row = next(row for row in queued(table()) if row["project"] == flat_id(project.rpartition("/")[2]))
    return [{"Records": [{"dynamodb": {"NewImage": wire_item(row), "SequenceNumber": "100"}}]}]


def to_create(world: World, sample: Any) -> list[Any]:
    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    return [{"id": "r-1", "tenant_id": tenant, "principal_id": world.uuid("owner"), "name": "Gemini"}]


def to_add_a_viewer(world: World, sample: Any) -> list[Any]:
    project = world("GET", world.new_project()).body
    ids = {"id": project["id"], "tenant_id": project["tenant_id"], "space_id": project["space_id"]}
    return [{"detail": {**ids, "project_id": project["id"], "resource": project}}]


def to_publish(world: World, sample: Any) -> list[Any]:
    """One of each type."""
    events = [deepcopy(sample) for _ in TYPES]
    for event, type in zip(events, TYPES, strict=True):
        for record in event["Records"]:
            record["dynamodb"]["NewImage"]["last_event"]["M"]["type"] = {"S": type}
    return events


# For each the events that make it do all that it does. The check of the table is in test_fsck.py, what is sent again in
# test_redrive.py.
WITHOUT_URL: dict[str, Callable[[World, Any], list[Any]]] = {
    "Provision": to_provision,
    "IssueCredential": lambda world, sample: [sample],
    "RotateCredential": lambda world, sample: [sample, {**sample, "request_token": "again"}],
    "RevokeCredential": lambda world, sample: [sample],
    "ListCredentials": lambda world, sample: [sample],
    "PublishEvents": to_publish,
    "PurgeDeleted": to_purge,
    "SweepDeleted": to_purge,
    "CreateProjectFromEvent": to_create,
    "AddViewer": to_add_a_viewer,
}


# What else some of them do, where they are refused what a token goes with.
UNHEARD_OF = "00000000-0000-8000-8000-000000000000"
REFUSED: dict[str, Any] = {
    "Provision": {"tenant_id": UNHEARD_OF},
    "IssueCredential": {"principal_id": UNHEARD_OF},
    "RotateCredential": {"credential_id": UNHEARD_OF},
}


@pytest.mark.parametrize("name", WITHOUT_URL)
def test_the_permissions_of_a_function_without_a_url_are_what_it_uses(
    traced: tuple[World, Trace], template: Template, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    world, trace = traced
    trace.watch(bus()._client)
    monkeypatch.setattr(streams, "SWEPT_AFTER", timedelta(0))
    monkeypatch.setenv("VIEWER_PRINCIPAL", world.uuid("viewer"))
    settings.cache_clear()
    function = template.functions[name]
    events = WITHOUT_URL[name](world, sample(function))
    trace.clear()
    for event in events:
        result = trace.invoke(function, event)
        assert not result.get("batchItemFailures"), result
    if name in REFUSED:
        asked = {"request_token": "refused"} if name == "Provision" else sample(function) | {"request_token": "refused"}
        with pytest.raises(FunctionFailed, match="Refused"):
            trace.invoke(function, asked | REFUSED[name])
    assert needless(of_its_calls(template, name), trace.asked(name)) == needed_by_others(template, name)


def test_every_function_without_a_url_has_its_permissions_compared(template: Template) -> None:
    automation = {name for name, function in template.functions.items() if is_automation(function)}
    assert set(WITHOUT_URL) == automation - {"Fsck", "Redrive"}


STREAM = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/atrium/stream/local"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:ProjectRequests"
DEAD_LETTERS = f"arn:aws:sqs:{REGION}:{ACCOUNT}:DeadLetters"

READS_STREAM = [f"dynamodb:{name}" for name in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")]
READS_QUEUE = [f"sqs:{name}" for name in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")]
HANDS_ON = ["sqs:SendMessage"]

# What Lambda itself does in a function's name: it writes the log and the trace, reads what the function is behind, and
# sends on what failed.
ALWAYS = {
    f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:Logs:*": ["logs:CreateLogStream", "logs:PutLogEvents"],
    "*": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
}
BEHIND = {
    "PublishEvents": {STREAM: READS_STREAM, DEAD_LETTERS: HANDS_ON},
    "PurgeDeleted": {STREAM: READS_STREAM, DEAD_LETTERS: HANDS_ON},
    "CreateProjectFromEvent": {QUEUE: READS_QUEUE},
    "AddViewer": {DEAD_LETTERS: HANDS_ON},
    # What it calls itself, in this case.
    "Redrive": {
        DEAD_LETTERS: [f"sqs:{name}" for name in ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility")],
        STREAM: ["dynamodb:GetShardIterator", "dynamodb:GetRecords"],
        **{
            function_arn(name): ["lambda:InvokeFunction"]
            for name in ("PublishEvents", "PurgeDeleted", "CreateProjectFromEvent", "AddViewer")
        },
    },
}


def test_lambda_may_do_in_a_functions_name_what_its_sources_need(template: Template) -> None:
    for name in template.functions:
        called = of_its_calls(template, name)
        rest = [each for each in statements(template, name) if each not in called]
        assert {each["Resource"]: each["Action"] for each in rest} == ALWAYS | BEHIND.get(name, {}), name
        assert len(rest) == len(ALWAYS | BEHIND.get(name, {})), name
        assert not any("Condition" in each for each in rest), name


def test_a_role_is_lambdas_and_has_no_policy_of_awss(template: Template) -> None:
    """Those of AWS's are about everything of an account."""
    for name in template.functions:
        role = role_of(template, name)
        assert set(role) <= {"AssumeRolePolicyDocument", "ManagedPolicyArns", "Policies"}, name
        assert role["ManagedPolicyArns"] == [{"Ref": "LogAndTrace"}], name
        assert role["AssumeRolePolicyDocument"]["Statement"] == [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
        ]


def test_no_two_roles_say_the_same(template: Template) -> None:
    roles = {name: item["Properties"] for name, item in template.resources.items() if item["Type"] == "AWS::IAM::Role"}
    assert len({json.dumps(role) for role in roles.values()}) == len(roles)
    used = {template.resources[name]["Properties"]["Role"]["Fn::GetAtt"][0] for name in template.functions}
    assert used == set(roles)


def test_what_a_function_is_not_allowed_is_refused_as_in_the_cloud(
    template: Template, engine: str, tmp_path: Path
) -> None:
    """Else only users would miss a permission that the template forgot. A test that swallows the refusal fails too."""
    forgetful = deepcopy(template)
    (policy,) = role_of(forgetful, "V1DeleteProject")["Policies"]
    policy["PolicyDocument"]["Statement"][1]["Action"].remove("dynamodb:DeleteItem")
    refused = pytest.raises(AssertionError, match="V1DeleteProject dynamodb:DeleteItem")
    with refused, inline(forgetful, engine, tmp_path, call) as world:
        project = world.new_project()
        if world("DELETE", project).seen != (500, {"detail": "Internal server error."}):
            pytest.fail("It was not refused.")
        if world("GET", project).status != 200:
            pytest.fail("It was done.")


def is_automation(function: Function) -> bool:
    return function.handler.startswith("automation.")
