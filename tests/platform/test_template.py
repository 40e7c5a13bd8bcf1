"""The template agrees with the code, and gives a platform engineer the expected guarantees."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from atrium.api.resolver import EXPOSED
from atrium.store.circuit import GIVEN_UP_AFTER
from local import template as templates
from local.template import ROOT, Template, create_table, function_arn
from tests.support.iam import of_its_calls, statements
from tests.support.routes import routes
from tests.support.world import the_template

FUNCTIONS = ROOT / "functions"


def names() -> list[str]:
    return sorted(the_template().functions)


def test_every_module_is_deployed_once(template: Template) -> None:
    modules = {
        ".".join(path.relative_to(FUNCTIONS).with_suffix("").parts) + ".handler" for path in FUNCTIONS.rglob("*.py")
    }
    assert sorted(modules) == sorted(function.handler for function in template.functions.values())


@pytest.mark.parametrize("name", names())
def test_a_function_is_named_after_its_file(template: Template, name: str) -> None:
    *folder, file, _ = template.functions[name].handler.split(".")
    prefix = "V1" if folder == ["v1"] else ""
    assert name == prefix + "".join(word.title() for word in file.split("_"))


@pytest.mark.parametrize("name", sorted(routes(the_template())))
def test_a_module_serves_the_route_it_is_deployed_on(template: Template, name: str) -> None:
    method, path = routes(template)[name]
    module = importlib.import_module(template.functions[name].handler.rpartition(".")[0])
    served = [(route.method, route.path) for route in module.api._static_routes + module.api._dynamic_routes]
    assert served == [(method, re.sub(r"\{(\w+)\}", r"<\1>", path))]


@pytest.mark.parametrize("name", sorted(routes(the_template(), public=True)))
def test_a_public_module_declares_its_route_and_imports_no_table(template: Template, name: str) -> None:
    method, path = routes(template, public=True)[name]
    module = template.functions[name].handler.rpartition(".")[0]
    assert f"{method} {path}" == importlib.import_module(module).PUBLIC
    imports = "import sys, {}; print(*sorted(name for name in sys.modules if name.startswith(({})))"
    unwanted = "'atrium.store', 'aws_lambda_powertools', 'boto', 'pydantic'"
    ran = subprocess.run(
        [sys.executable, "-c", imports.format(module, unwanted) + ")"], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == []


@pytest.mark.parametrize("name", names())
def test_a_function_has_a_sample_event(template: Template, name: str) -> None:
    path = ROOT / "events" / (template.functions[name].handler.replace(".", "/").removesuffix("/handler") + ".json")
    event = json.loads(path.read_text())
    behind_urls = routes(template) | routes(template, public=True)
    if name in behind_urls:
        assert (event["httpMethod"], event["resource"]) == behind_urls[name]


def test_every_route_but_the_documentation_requires_a_credential_and_every_path_answers_preflight(
    template: Template,
) -> None:
    for path, operations in template.api["paths"].items():
        for method, operation in operations.items():
            asked: Any = [{"NONE": []}] if path in ("/docs", "/openapi.json") else [{"Credential": []}]
            assert operation.get("security") == (None if method == "options" else asked), path
        assert "options" in operations


def test_a_public_function_calls_no_service(template: Template) -> None:
    for name in routes(template, public=True):
        assert of_its_calls(template, name) == []


def test_permissions_name_actions_on_our_own_things_and_two_functions_may_scan(template: Template) -> None:
    """Only X-Ray's actions have the resource *, since AWS has no narrower one."""
    ours = {
        *template.queues,
        *(template.resolve({"Fn::GetAtt": [name, "Arn"]}) for name in ("Table", "Bus", "Logs")),
        template.stream,
        *(function_arn(name) for name in template.functions),
        "arn:aws:s3:::exports/atrium/events/*",
        template.resolve({"Fn::GetAtt": ["WebhookKey", "Arn"]}),
    }
    for name in template.functions:
        for statement in statements(template, name):
            assert not any("*" in action for action in statement["Action"]), name
            assert "dynamodb:Scan" not in statement["Action"] or name in ("Fsck", "Redrive"), name
            if statement["Resource"] == "*":
                assert {action.partition(":")[0] for action in statement["Action"]} == {"xray"}, name
            else:
                assert statement["Resource"] in ours, name


def test_every_queue_and_stream_has_a_dead_letter_queue(template: Template) -> None:
    """But the queue of deliveries: what holds up a lane of a webhook there is kept for as long as deliveries are."""
    dead_letters = {"Fn::GetAtt": ["DeadLetters", "Arn"]}
    for name, item in template.resources.items():
        properties = item["Properties"]
        if item["Type"] == "AWS::Lambda::EventSourceMapping":
            assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"], name
            if properties["EventSourceArn"] == {"Fn::GetAtt": ["Table", "StreamArn"]}:
                assert properties["DestinationConfig"] == {"OnFailure": {"Destination": dead_letters}}, name
                assert properties["BisectBatchOnFunctionError"] is True
                # By default Lambda retries until the record expires, but its dead letter would then be useless.
                assert properties["MaximumRetryAttempts"] == -1
                assert properties["MaximumRecordAgeInSeconds"] <= 43_200
                assert properties["StartingPosition"] == "TRIM_HORIZON"
                assert properties["FilterCriteria"]["Filters"]
        if item["Type"] == "AWS::SQS::Queue" and name != "DeadLetters":
            if name == "WebhookDeliveries":
                assert properties["MessageRetentionPeriod"] > GIVEN_UP_AFTER.total_seconds()
            else:
                assert properties["RedrivePolicy"]["deadLetterTargetArn"] == dead_letters
            consumers = [
                template.resources[mapping["Properties"]["FunctionName"]["Ref"]]["Properties"]["Timeout"]
                for mapping in template.resources.values()
                if mapping["Type"] == "AWS::Lambda::EventSourceMapping"
                and mapping["Properties"]["EventSourceArn"] == {"Fn::GetAtt": [name, "Arn"]}
            ]
            assert properties["VisibilityTimeout"] >= 6 * max(consumers)
        if item["Type"] == "AWS::Events::Rule" and "EventPattern" in properties:
            assert properties["EventBusName"] == {"Ref": "Bus"}
            assert all(target["DeadLetterConfig"] == {"Arn": dead_letters} for target in properties["Targets"])


def test_a_queues_policy_names_only_its_queue(template: Template) -> None:
    """SQS accepts one policy for each queue, and here it has one statement."""
    covered = {}
    for name, item in template.resources.items():
        if item["Type"] == "AWS::SQS::QueuePolicy":
            (queue,) = (each["Ref"] for each in item["Properties"]["Queues"])
            (statement,) = item["Properties"]["PolicyDocument"]["Statement"]
            assert statement["Resource"] == {"Fn::GetAtt": [queue, "Arn"]}, name
            assert statement["Principal"] == {"Service": "events.amazonaws.com"}, name
            covered[queue] = statement["Condition"]["ArnLike"]["aws:SourceArn"]
    queues = {name for name, item in template.resources.items() if item["Type"] == "AWS::SQS::Queue"}
    assert set(covered) == queues - {"WebhookDeliveries"}, "functions alone send to that one"
    assert {json.dumps(rules) for rules in covered.values()} == {
        json.dumps(
            {"Fn::Sub": "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${Bus}/*"},
        )
    }


def test_a_burst_in_a_queue_is_limited_only_by_its_mapping(template: Template) -> None:
    """A function's limit below the mapping's would throttle messages, and five failures make a dead letter."""
    bounded = Template(ReservedConcurrency="3")
    behind = {
        source.function.name: source.concurrency
        for source in template.event_sources
        if source.source in template.queues
    }
    assert behind == {"CreateProjectFromEvent": 5, "FanOutEvents": 10, "DeliverEvents": 50}
    assert {bounded.functions[name].concurrency for name in behind} == {None}


def test_api_gateway_samples_traces_by_the_stacks_rule(template: Template) -> None:
    behind_the_api = {"Authorizer", *routes(template), *routes(template, public=True)}
    for name in template.functions:
        mode = template.resources[name]["Properties"]["TracingConfig"]["Mode"]
        assert mode == ("Active" if name in behind_the_api else "PassThrough"), name
    rule = dict(template.resources["TraceSampling"]["Properties"]["SamplingRule"])
    name = rule.pop("RuleName")
    assert rule == {
        "Version": 1,
        "Priority": 5000,
        "ReservoirSize": 0,
        "FixedRate": {"Ref": "TracingRate"},
        "ServiceType": "AWS::ApiGateway::Stage",
        "ServiceName": {"Fn::Sub": "${AWS::StackName}/${Stage}"},
        **dict.fromkeys(("ResourceARN", "Host", "HTTPMethod", "URLPath"), "*"),
    }
    # The title of its document is the name of an imported API.
    assert template.resources["Api"]["Properties"]["Body"]["info"]["title"] == {"Ref": "AWS::StackName"}
    assert template.resources["ApiStage"]["Properties"]["TracingEnabled"] is True
    # AWS allows 32 characters, so the name is a word and the last 12 digits of the stack's id.
    assert name == {
        "Fn::Join": [
            "-",
            ["atrium", {"Fn::Select": [4, {"Fn::Split": ["-", {"Fn::Select": [2, {"Fn::Split": ["/", STACK_ID]}]}]}]}],
        ]
    }


STACK_ID = {"Ref": "AWS::StackId"}


def test_every_automation_function_has_its_trigger(template: Template) -> None:
    behind_urls = routes(template) | routes(template, public=True)
    triggers: dict[str, set[str]] = {name: set() for name in template.functions if name not in behind_urls}
    for item in template.resources.values():
        properties = item["Properties"]
        if item["Type"] == "AWS::Lambda::EventSourceMapping":
            triggers[properties["FunctionName"]["Ref"]].add(properties["EventSourceArn"]["Fn::GetAtt"][0])
        if item["Type"] == "AWS::Events::Rule":
            for target in properties["Targets"]:
                if target["Arn"]["Fn::GetAtt"][0] in triggers:
                    trigger = properties.get("ScheduleExpression") or ",".join(
                        properties["EventPattern"]["detail-type"]
                    )
                    triggers[target["Arn"]["Fn::GetAtt"][0]].add(trigger)
    assert triggers == {
        "Authorizer": set(),
        "Provision": set(),
        "PublishEvents": {"Table"},
        "PurgeDeleted": {"Table"},
        "SweepDeleted": {"rate(15 minutes)"},
        "CreateProjectFromEvent": {"ProjectRequests"},
        "AddViewer": {"project.created"},
        "FanOutEvents": {"WebhookEvents"},
        "DeliverEvents": {"WebhookDeliveries"},
        "SweepDeliveries": {"rate(1 minute)"},
        "IssueCredential": set(),
        "RotateCredential": set(),
        "RevokeCredential": set(),
        "ListCredentials": set(),
        "Fsck": set(),
        "Erase": set(),
        "ExportEvents": set(),
        "Redrive": set(),
    }


def test_the_sample_reaction_is_off_until_configured() -> None:
    configured = {"ViewerPrincipal": "5f8f7e1e-0000-8000-8000-000000000001"}
    cases: list[tuple[dict[str, str], str]] = [({}, "DISABLED"), (configured, "ENABLED")]
    for given, state in cases:
        template = Template(**given)
        (rule,) = (
            item for name, item in template.resources.items() if name.startswith("AddViewer") and "Rule" in item["Type"]
        )
        assert template.resolve(rule["Properties"])["State"] == state
        assert template.functions["AddViewer"].environment["VIEWER_PRINCIPAL"] == given.get("ViewerPrincipal", "")
    with pytest.raises(SystemExit, match="has no parameter Viewer; it has Stage, CorsOrigin, EventRetentionDays"):
        Template(Viewer="x")


SMALL = """
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties: {BillingMode: PAY_PER_REQUEST}
  Hello:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/, Handler: hello.handler, Runtime: python3.13, Timeout: 15}
"""


def test_a_kept_translation_is_read_for_the_same_template_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, kept = tmp_path / "template.yaml", tmp_path / "folder" / "translated.json"
    monkeypatch.setattr(templates, "KEPT", kept)
    path.write_text(SMALL)
    resources = Template(path).resources
    assert set(resources) == {"Table", "Hello", "HelloRole"}
    first = kept.read_text()
    # Each process reads the file instead of translating, so what stands there is what it gets.
    marked = json.loads(first)
    marked["resources"]["Table"]["Properties"]["Marked"] = True
    kept.write_text(json.dumps(marked))
    assert Template(path).resources == marked["resources"]
    path.write_text(SMALL.replace("Timeout: 15", "Timeout: 14"))
    assert Template(path).resources["Hello"]["Properties"]["Timeout"] == 14
    assert kept.read_text() != first
    path.write_text(SMALL)
    for broken in (first[:-1], ""):
        kept.write_text(broken)
        assert Template(path).resources == resources
        assert kept.read_text() == first
    assert [*kept.parent.iterdir()] == [kept]


def test_the_table_outlives_the_stack_and_every_mistake(template: Template) -> None:
    table = template.resources["Table"]
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = table["Properties"]
    assert properties["DeletionProtectionEnabled"] is True
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert "GlobalSecondaryIndexes" not in properties
    assert "LocalSecondaryIndexes" not in properties


def test_the_table_of_tests_and_laptop_equals_the_templates(template: Template) -> None:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        create_table(client, template.table)
        create_table(client, template.table)  # a second start finds the table
        made = client.describe_table(TableName=template.table["TableName"])["Table"]
        expiry = client.describe_time_to_live(TableName=template.table["TableName"])["TimeToLiveDescription"]
    for name in ("AttributeDefinitions", "KeySchema"):
        assert made[name] == template.table[name]
    assert made["BillingModeSummary"]["BillingMode"] == template.table["BillingMode"]
    assert made["StreamSpecification"]["StreamViewType"] == template.table["StreamSpecification"]["StreamViewType"]
    assert expiry["AttributeName"] == template.table["TimeToLiveSpecification"]["AttributeName"]


def test_the_gateways_own_answers_speak_both_dialects(template: Template) -> None:
    responses = template.api["x-amazon-apigateway-gateway-responses"]
    for kind, response in responses.items():
        body = json.loads(response["responseTemplates"]["application/json"])
        assert set(body) == {"error", "detail"}, kind
        assert body["error"] == body["detail"]
        assert response["responseParameters"]["gatewayresponse.header.X-Request-Id"] == "context.requestId"
        readable = response["responseParameters"]["gatewayresponse.header.Access-Control-Expose-Headers"]
        assert readable == f"'{EXPOSED}'", "scripts read of these answers what they read of a function's"
    assert {"DEFAULT_4XX", "DEFAULT_5XX"} <= set(responses)


def test_functions_share_one_environment_so_one_worker_can_run_them_all(template: Template) -> None:
    own = {
        "Redrive": {"PUBLISH_EVENTS", "PURGE_DELETED", "CREATE_PROJECT_FROM_EVENT", "ADD_VIEWER", "FAN_OUT_EVENTS"},
        "ExportEvents": {"EXPORT_BUCKET"},
    }
    environments = set()
    for name, function in template.functions.items():
        shared = {key: value for key, value in function.environment.items() if key not in own.get(name, ())}
        environments.add(json.dumps(shared, sort_keys=True))
    expected = {
        "AWS_CA_BUNDLE": "/opt/python/amazon-roots.pem",
        "BUS_NAME": "atrium-events",
        "CORS_ORIGIN": "*",
        "DEAD_LETTERS": "https://sqs.us-east-1.amazonaws.com/000000000000/DeadLetters",
        "EVENT_DAYS": "90",
        "JWT_AUDIENCE": "atrium",
        "JWT_ISSUER": "",
        "JWT_JWKS": "",
        "JWT_SCOPE": "",
        "STACK_NAME": "atrium",
        "TABLE_NAME": "atrium",
        "VIEWER_PRINCIPAL": "",
        "WEBHOOK_DELIVERIES": "https://sqs.us-east-1.amazonaws.com/000000000000/WebhookDeliveries.fifo",
        "WEBHOOK_EVENTS": "https://sqs.us-east-1.amazonaws.com/000000000000/WebhookEvents",
        "WEBHOOK_KEY": "arn:aws:kms:us-east-1:000000000000:key/WebhookKey",
    }
    assert environments == {json.dumps(expected)}


def test_no_function_has_a_layer_twice(template: Template) -> None:
    """Lambda refuses a repeated layer. A function's layers are appended to those of Globals."""
    for function in template.functions.values():
        assert function.layers[0] == "AtriumLayer"
        assert len(set(function.layers)) == len(function.layers), function.name


def test_functions_run_on_lambdas_python_on_arm(template: Template) -> None:
    for item in template.resources.values():
        if item["Type"] == "AWS::Lambda::Function":
            assert item["Properties"]["Runtime"] == "python3.13"
            assert item["Properties"]["Architectures"] == ["arm64"]


# ---------------------------------------------------------------- the repository


PINS = [
    *(ROOT / name for name in ("requirements.txt", "benchmarks/requirements.txt", "tests/mutation/requirements.txt")),
    ROOT / "cli/requirements.txt",
    *(ROOT / name for name in ("local/runtime.txt", "tests/ministack.txt")),
    *(path for pattern in ("layers/*", "benchmarks/peers/*") for path in ROOT.glob(f"{pattern}/requirements.txt")),
]


def pins(path: Path) -> dict[str, str]:
    """The version of each package."""
    return dict(re.findall(r"^([\w.,\[\]-]+)==([^\s;]+)", path.read_text(), re.MULTILINE))


def test_every_pin_has_hashes_and_no_file_of_pins_names_a_registry() -> None:
    assert len(PINS) == 11
    for path in PINS:
        assert path.with_suffix(".in").is_file() or path.with_name("requirements.in").is_file(), path
        lines = path.read_text().replace("\\\n", " ").splitlines()
        assert lines, path
        for line in lines:
            assert re.fullmatch(r"[\w.,\[\]-]+==[^\s;]+( ; [^-]+?)? +(--hash=sha256:[0-9a-f]{64} *)+", line), (
                path,
                line,
            )


def test_every_installation_requires_the_hashes() -> None:
    folders = ("layers", "local", "tools", "tests", "benchmarks")
    sources = [ROOT / "Makefile", *(path for folder in folders for path in (ROOT / folder).rglob("*.py"))]
    sources.remove(Path(__file__))
    found = 0
    for path in sources:
        text = path.read_text()
        wanted = len(re.findall(r"--requirement\b", text))
        assert len(re.findall(r'--require-hashes[\s",f]+--requirement\b', text)) == wanted, path
        found += wanted
    assert found == 7


def test_the_layers_pins_equal_the_tested_versions() -> None:
    tested, layer = pins(ROOT / "requirements.txt"), pins(ROOT / "layers/atrium/requirements.txt")
    assert {"aws-lambda-powertools", "boto3", "pydantic"} <= set(layer)
    assert layer.items() <= tested.items()


def test_the_command_lines_pins_equal_the_tested_versions() -> None:
    command = pins(ROOT / "cli/requirements.txt")
    assert {"rich", "typer"} <= set(command)
    assert command.items() <= pins(ROOT / "requirements.txt").items()
