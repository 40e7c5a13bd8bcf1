"""`sam deploy` for real, into an AWS that runs on this machine (ministack): the built template becomes a stack,
requests arrive at the API's address, the stream and the bus invoke functions, and a role has the permissions of its
policies.

Features missing in that AWS, which this cannot prove: docs/decisions/0014-deployed-without-aws.md.
"""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import ZipFile

import httpx
import pytest
from samtranslator.yaml_helper import yaml_parse

from atrium import keys
from atrium.ids import from_uuid, new_ids, to_uuid
from atrium.store.engine.wire import wire_item
from local.database import as_child, free_port
from local.rie import BUILD
from local.template import REGION, ROOT, Template
from tests.support import seed_documents as seeds
from tests.support.client import World
from tests.support.clock import NET
from tests.support.cloud import Cloud, add_gateway_responses, packaged, with_what_is_there
from tests.support.processes import wait_for
from tests.support.routes import routes
from tools import versioned
from tools.openapi import DOCUMENT

# The tests of both documents of the API, run against the deployed API.
globals().update({name: test for name, test in vars(seeds).items() if name.startswith("test_")})

MINISTACK = ROOT / ".venv" / "ministack" / "bin" / "python"

# A principal of the demo tenant acme, whose ids are always the same. The stack makes it a viewer of each new project.
OUTSIDER = "6a8f33fc-9f6e-8000-8000-290cca0839b5"

# The bucket of the stack's exports.
BUCKET = "exports"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, template: Template) -> Iterator[Cloud]:
    with deployed(tmp_path_factory.mktemp("cloud"), template, {"template.json": built()}) as made:
        yield made


def built() -> dict[str, Any]:
    """The template written by `sam build`, with absolute paths to the code."""
    found: dict[str, Any] = yaml_parse((BUILD / "template.yaml").read_text())
    for resource in found["Resources"].values():
        for place in ("CodeUri", "ContentUri"):
            if place in resource["Properties"]:
                resource["Properties"][place] = str(BUILD / resource["Properties"][place])
    return found


@contextmanager
def deployed(directory: Path, template: Template, templates: Mapping[str, Any]) -> Iterator[Cloud]:
    """A cloud with the stack of the first of these templates, in which the others are nested; `template` is the plain
    form.
    """
    for name, source in templates.items():
        (directory / name).write_text(json.dumps(with_what_is_there(source)))
    path, *nested = (directory / name for name in templates)
    with ministack(directory) as made:
        if nested:
            path = packaged(made, path)
        made.sam(
            *("deploy", "--template-file", str(path), "--config-file", str(ROOT / "samconfig.toml")),
            *("--no-confirm-changeset", "--no-progressbar"),
            *("--parameter-overrides", f"ViewerPrincipal={OUTSIDER}", f"ExportBucket={BUCKET}"),
        )
        add_gateway_responses(made, template)
        yield made


@contextmanager
def ministack(directory: Path) -> Iterator[Cloud]:
    cloud = Cloud(free_port(), directory)
    environment = {
        **cloud.environment,
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(cloud.port),
        # Permissions of roles are enforced.
        "AUTH": "true",
    }
    with (directory / "output").open("w") as output:
        process = subprocess.Popen(
            [str(MINISTACK), "-m", "ministack"],
            cwd=directory,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=as_child,
        )

    def is_ready() -> bool:
        assert process.poll() is None, (directory / "output").read_text()[-3000:]
        try:
            return httpx.get(f"{cloud.endpoint}/_ministack/health").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_for(is_ready)
        yield cloud
    finally:
        process.terminate()
        try:
            process.wait(NET)
        finally:
            with suppress(ProcessLookupError):  # the processes of its functions end with the group
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def world(cloud: Cloud, tmp_path: Path) -> World:
    """Each test has its own tenants: the request tokens differ, and identities are left out, since each is unique."""

    def provision(event: Mapping[str, Any]) -> Any:
        principals = [
            {**principal, "credentials": [given for given in principal["credentials"] if given["kind"] != "identity"]}
            for principal in event["principals"]
        ]
        fresh = {**event, "request_token": str(uuid4()), "principals": principals}
        return cloud.invoke(cloud.outputs["ProvisionFunction"], fresh)

    return cloud.world(tmp_path, provision)


def test_every_function_is_deployed_as_the_template_says(cloud: Cloud, template: Template) -> None:
    assert {found["ResourceStatus"] for found in cloud.resources.values()} == {"CREATE_COMPLETE"}
    own = {
        "TABLE_NAME": cloud.outputs["TableName"],
        "BUS_NAME": cloud.outputs["BusName"],
        "DEAD_LETTERS": cloud.outputs["DeadLettersUrl"],
        "WEBHOOK_EVENTS": cloud.resources["WebhookEvents"]["PhysicalResourceId"],
        "WEBHOOK_DELIVERIES": cloud.resources["WebhookDeliveries"]["PhysicalResourceId"],
        "WEBHOOK_KEY": cloud.outputs["WebhookKeyArn"],
    }
    for function in template.functions.values():
        found = cloud.lambdas.get_function(FunctionName=cloud.resources[function.name]["PhysicalResourceId"])
        settings = found["Configuration"]
        assert settings["Handler"] == function.handler
        assert (settings["Timeout"], settings["MemorySize"]) == (function.timeout, function.memory)
        layers = [layer["Arn"].split(":")[6] for layer in settings["Layers"]]
        assert layers == list(function.layers)
        # The remaining references name other functions.
        named = {
            name: cloud.resources[value]["PhysicalResourceId"]
            for name, value in function.environment.items()
            if value in cloud.resources
        }
        expected = {**function.environment, **named, **own, "VIEWER_PRINCIPAL": OUTSIDER}
        assert settings["Environment"]["Variables"] == expected
        code = ZipFile(BytesIO(httpx.get(found["Code"]["Location"]).content))
        assert f"{function.handler.rpartition('.')[0].replace('.', '/')}.py" in code.namelist()


def test_the_reference_and_its_document_need_no_credential(world: World) -> None:
    page, document = (world("GET", path, by=None) for path in ("/docs", "/openapi.json"))
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<title>Atrium API</title>" in page.content.decode()
    (server,) = json.loads(document.content)["servers"]
    committed = DOCUMENT.read_text().replace('"url": "."', f'"url": "{server["url"]}"')
    assert (document.status, document.content.decode()) == (200, committed)
    assert re.fullmatch(r"https://[^/]+/prod", server["url"])


def test_a_retry_over_the_deployed_api_is_a_replay(world: World) -> None:
    first = world("POST", "/projects", seeds.NEW, key="retried")
    again = world("POST", "/projects", seeds.NEW, key="retried")
    assert (first.status, again.status, again.content) == (201, 201, first.content)
    assert (first.replayed, again.replayed) == (False, True)
    assert world("GET", "/projects").body == [first.body]


def test_changes_events_and_messages_have_their_effects(cloud: Cloud, tmp_path: Path) -> None:
    """The stream publishes a new project on the bus, whose rule adds the viewer. An event requests a project through
    rule and queue. The stream has a deleted project purged.
    """
    world = cloud.world(tmp_path)
    assert world.uuid("outsider") == OUTSIDER
    project = world.new_project("Apollo")
    member = f"{project}/members/{OUTSIDER}"
    wait_for(lambda: world("GET", member).status == 200)
    assert world("GET", member).body["role_id"] == world.role("viewer")

    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    wanted = {"id": "intake-7", "tenant_id": tenant, "principal_id": world.uuid("owner"), "name": "Requested"}
    entry = {
        "EventBusName": cloud.outputs["BusName"],
        "Source": "intake",
        "DetailType": "project.requested",
        "Detail": json.dumps(wanted),
    }
    assert cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0

    def names() -> list[str]:
        return [listed["name"] for listed in world("GET", world.projects()).body["data"]]

    wait_for(lambda: "Requested" in names())

    task = from_uuid(world.new_record(project, "tasks").rpartition("/")[2])
    partition = keys.project(from_uuid(tenant), from_uuid(project.rpartition("/")[2])).pk
    database = cloud.client("dynamodb")

    def rows() -> set[str]:
        """The sort keys of the project's rows."""
        found = database.query(
            TableName=cloud.outputs["TableName"],
            KeyConditionExpression="pk = :partition",
            ExpressionAttributeValues={":partition": {"S": partition}},
        )
        return {item["sk"]["S"] for item in found["Items"]}

    assert {keys.META, f"{keys.TASK}{task}"} < rows()
    assert world("DELETE", project).status == 204
    wait_for(lambda: not rows())
    assert cloud.client("sqs").get_queue_attributes(
        QueueUrl=cloud.outputs["DeadLettersUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"] == {"ApproximateNumberOfMessages": "0"}


def document(cloud: Cloud, *begin: str) -> str:
    """Runs commands of docs/operations.md against the stack, in a shell with the AWS CLI: the first block of the page,
    then the first block behind each of these texts. Returns their output.
    """
    text = (ROOT / "docs/operations.md").read_text()
    blocks = [
        text.partition(word)[2].partition("\n```\n")[2].partition("\n```\n")[0] for word in ("# Running Atrium", *begin)
    ]
    script = "\n".join(blocks).replace("STACK=atrium-prod", "STACK=atrium")
    environment = {
        **cloud.environment,
        "PATH": f"{MINISTACK.parent}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": cloud.endpoint,
    }
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=NET,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stderr[-3000:]}"
    return done.stdout


def test_an_export_is_in_the_bucket(cloud: Cloud, world: World) -> None:
    store, tenant = cloud.client("s3"), world.dev["tenants"]["acme"]["tenant_id"]
    store.create_bucket(Bucket=BUCKET)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    (id,) = new_ids(1, round(yesterday.timestamp() * 1000))
    told = {"type": "space.created", "actor_kind": "operator", "resource": "{}", "space": from_uuid(tenant)}
    key = keys.event(from_uuid(tenant), id)
    cloud.client("dynamodb").put_item(TableName=cloud.outputs["TableName"], Item=wire_item({**told, **key._asdict()}))
    function = cloud.resources["ExportEvents"]["PhysicalResourceId"]
    day = yesterday.date()
    result = cloud.invoke(function, {"tenant_id": tenant, "since": str(day), "until": str(day + timedelta(days=1))})
    object = f"atrium/events/{tenant}/{day}/00000.ndjson"
    assert result == {"complete": True, "after": None, "events": 1, "keys": [object]}
    (line,) = store.get_object(Bucket=BUCKET, Key=object)["Body"].read().splitlines()
    assert json.loads(line) == world("GET", f"/v1/events/{to_uuid(id)}").body


def test_the_documented_commands_close_and_open_the_table(cloud: Cloud, world: World) -> None:
    """Each may be repeated. ministack stores the table's policy but does not enforce it: enforcement is not tested."""
    tables = cloud.client("dynamodb")
    table = tables.describe_table(TableName=cloud.outputs["TableName"])["Table"]["TableArn"]
    queue = cloud.resources["ProjectRequests"]["PhysicalResourceId"]

    def state() -> str:
        mapping = cloud.resources["CreateProjectFromEventRequests"]["PhysicalResourceId"]
        return str(cloud.lambdas.get_event_source_mapping(UUID=mapping)["State"])

    def waiting() -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    document(cloud, "**Close the door**")
    wait_for(lambda: state() == "Disabled")
    for request in (("GET", "/projects", None), ("POST", "/projects", seeds.NEW)):
        refused = world(*request)
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    entry = {
        "EventBusName": cloud.outputs["BusName"],
        "Source": "intake",
        "DetailType": "project.requested",
        "Detail": json.dumps(
            {
                "id": "intake-8",
                "tenant_id": world.dev["tenants"]["acme"]["tenant_id"],
                "principal_id": world.uuid("owner"),
                "name": "Patience",
            }
        ),
    }
    assert cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    wait_for(lambda: waiting() == 1)
    policy = tables.get_resource_policy(ResourceArn=table)["Policy"]
    assert json.loads(policy)["Statement"][0]["Resource"] == table

    document(cloud, "**Close the door**", "**Open it**", "**Open it**")
    wait_for(lambda: state() == "Enabled")
    wait_for(lambda: [project["projectName"] for project in world("GET", "/projects").body] == ["Patience"])
    assert waiting() == 0
    with pytest.raises(tables.exceptions.PolicyNotFoundException):
        tables.get_resource_policy(ResourceArn=table)


def test_sam_delete_leaves_only_the_data(cloud: Cloud) -> None:
    """`DeletionPolicy: Retain` keeps the table. This test runs last of the stack's, since it deletes the stack."""
    tables = cloud.client("dynamodb")
    cloud.sam("delete", "--stack-name", "atrium", "--region", REGION, "--no-prompts")
    assert cloud.lambdas.list_functions()["Functions"] == []
    assert cloud.lambdas.list_layers()["Layers"] == []
    assert cloud.client("apigateway").get_rest_apis()["items"] == []
    assert cloud.client("sqs").list_queues().get("QueueUrls", []) == []
    assert [bus["Name"] for bus in cloud.client("events").list_event_buses()["EventBuses"]] == ["default"]
    assert tables.list_tables()["TableNames"] == [cloud.outputs["TableName"]]


# ---------------------------------------------------------------- the form with versions


def test_the_form_with_versions_is_deployed_and_answers_through_its_aliases(tmp_path: Path, template: Template) -> None:
    """In a separate cloud. It has no CodeDeploy, so a release shifts all traffic at once."""
    with deployed(tmp_path, template, versioned.versioned(built(), "one")) as cloud:
        assert {found["ResourceStatus"] for found in cloud.resources.values()} == {"CREATE_COMPLETE"}
        assert {"ProjectsRoutes", "V1Routes"} < cloud.resources.keys()
        aliases = {name.removesuffix("Aliaslive") for name in cloud.resources if name.endswith("Aliaslive")}
        assert aliases == {"Authorizer", *routes(template), *routes(template, public=True)}
        for name in sorted(aliases):
            handler = template.functions[name].handler
            function = f"atrium_{handler.removesuffix('.handler').replace('.', '_')}"
            assert cloud.resources[name]["PhysicalResourceId"] == function
            found = cloud.lambdas.get_alias(FunctionName=function, Name="live")
            assert found["FunctionVersion"] == "1", name
            about = cloud.lambdas.get_function_configuration(FunctionName=found["AliasArn"])
            assert about["Handler"] == handler
            variables = about["Environment"]["Variables"]
            assert (variables["RELEASE"], variables["STACK_NAME"]) == ("one", "atrium"), name
            assert variables["TABLE_NAME"] == cloud.outputs["TableName"], name
        world = cloud.world(tmp_path)
        project = world.new_project("Apollo")
        assert world("GET", project).body["name"] == "Apollo"
        assert [listed["projectName"] for listed in world("GET", "/projects").body] == ["Apollo"]
        assert world("DELETE", project).status == 204
        assert world("GET", "/projects", by=None).status == 401
        assert world("GET", "/docs", by=None).status == 200
