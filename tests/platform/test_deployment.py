"""Deployment: parameters, environments, and their description in docs/operations.md. test_releases.py tests the form
with versions, test_resources.py the number of resources.
"""

import json
import re
import tomllib
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from atrium.telemetry import UNITS
from local.template import ROOT, Template, parsed
from tests.support.documents import OPERATIONS, commands
from tests.support.iam import statements
from tests.support.routes import routes
from tools import versioned

SOURCE = parsed((ROOT / "template.yaml").read_text())
ALARMS = parsed((ROOT / "observability.yaml").read_text())


def of_type(template: Template, type: str) -> dict[str, Any]:
    return {name: item for name, item in template.resources.items() if item["Type"] == type}


# ---------------------------------------------------------------- parameters

# Resources with a condition on a parameter.
CONDITIONAL = {
    "Domain": "HasDomain",
    "DomainMapping": "HasDomain",
    "DomainRecord": "HasHostedZone",
    "AccessLogs": "HasAccessLogging",
    "ExportEvents": "HasExport",
    "ExportEventsRole": "HasExport",
    "WebhookKey": "MakesWebhookKey",
}

GIVEN = {
    "DomainName": "api.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:000000000000:certificate/c",
    "HostedZoneId": "Z0",
    "RestoredTable": "atrium-restored",
    "ReservedConcurrency": "5",
    "AuthorizerConcurrency": "50",
    "ThrottleRate": "50",
    "ThrottleBurst": "80",
    "WarmReadUnits": "20000",
    "WarmWriteUnits": "8000",
    "MaxReadUnits": "4000",
    "MaxWriteUnits": "2000",
    "TracingRate": "0.5",
    "AccessLogging": "on",
    "LogRetentionDays": "7",
    "ExportBucket": "exports",
    "WebhookKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k",
}


@pytest.fixture(scope="module")
def given() -> Template:
    """The template with every parameter that affects the resources."""
    return Template(**GIVEN)


def test_every_parameter_has_a_default_and_a_description() -> None:
    for template in (SOURCE, ALARMS):
        for name, parameter in template["Parameters"].items():
            assert "Default" in parameter, name
            assert parameter["Description"].endswith("."), name


def test_the_default_stack_has_no_optional_resources(template: Template) -> None:
    assert {name: item["Condition"] for name, item in template.resources.items() if "Condition" in item} == CONDITIONAL
    holding = {name for name, condition in SOURCE["Conditions"].items() if Template()._holds(condition)}
    assert holding == {"AmazonRootsOnly", "MakesWebhookKey"}
    for function in of_type(template, "AWS::Lambda::Function").values():
        assert template.resolve(function["Properties"]["ReservedConcurrentExecutions"]) == "AWS::NoValue"
    table = template.resolve(template.resources["Table"]["Properties"])
    assert (table["WarmThroughput"], table["OnDemandThroughput"]) == ("AWS::NoValue", "AWS::NoValue")
    assert template.resolve(template.resources["ApiStage"]["Properties"]["AccessLogSetting"]) == "AWS::NoValue"
    for function in of_type(template, "AWS::Lambda::Function").values():
        assert "SnapStart" not in function["Properties"]
    for kind in ("AWS::Lambda::Version", "AWS::Lambda::Alias", "AWS::CodeDeploy::Application"):
        assert of_type(template, kind) == {}


def test_a_domain_is_the_apis_without_a_stage_in_the_path(template: Template, given: Template) -> None:
    unlike = ("HasViewer", "MakesWebhookKey")
    assert all(given._holds(condition) for name, condition in SOURCE["Conditions"].items() if name not in unlike)
    found = {name: given.resolve(given.resources[name]["Properties"]) for name in ("Domain", "DomainMapping")}
    record = given.resources["DomainRecord"]["Properties"]
    assert found["Domain"]["RegionalCertificateArn"] == GIVEN["CertificateArn"]
    assert found["Domain"]["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    # Without a base path the mapping is at the root.
    assert found["DomainMapping"] == {"DomainName": "Domain", "RestApiId": "Api", "Stage": "ApiStage"}
    assert (record["Name"], record["HostedZoneId"]) == ({"Ref": "DomainName"}, {"Ref": "HostedZoneId"})
    assert record["AliasTarget"]["DNSName"] == {"Fn::GetAtt": ["Domain", "RegionalDomainName"]}
    url = SOURCE["Outputs"]["ApiUrl"]["Value"]
    assert given.resolve(url) == "https://api.example.com"
    assert template.resolve(url) == "https://Api.execute-api.us-east-1.amazonaws.com/prod"


def test_reserved_concurrency_is_each_functions_but_the_authorizers(template: Template, given: Template) -> None:
    """The authorizer runs for each request of all routes: a route's limit would bound the whole API."""
    bounds = {name: function.concurrency for name, function in given.functions.items()}
    assert bounds.pop("Authorizer") == 50
    for behind_a_queue in ("CreateProjectFromEvent", "FanOutEvents", "DeliverEvents"):
        assert bounds.pop(behind_a_queue) is None
    assert set(bounds.values()) == {5}
    assert {function.concurrency for function in template.functions.values()} == {None}
    assert Template(ReservedConcurrency="5").functions["Authorizer"].concurrency is None


def test_the_stage_and_the_public_routes_are_throttled(template: Template, given: Template) -> None:
    """Routes have the stage's limit, public routes lower ones. CloudFormation spells a slash ~1 here."""

    def limits(of: Template) -> dict[str, tuple[int, int]]:
        return {
            f"{each['HttpMethod']} {each['ResourcePath']}": (
                int(each["ThrottlingRateLimit"]),
                int(each["ThrottlingBurstLimit"]),
            )
            for each in of.resolve(of.resources["ApiStage"]["Properties"]["MethodSettings"])
        }

    public = {
        f"{method} /{path.replace('/', '~1')}": (20, 40) for method, path in routes(template, public=True).values()
    }
    assert limits(template) == {"* /*": (1000, 2000), **public}
    assert limits(given) == {"* /*": (50, 80), **public}
    responses = template.api["x-amazon-apigateway-gateway-responses"]
    assert responses["THROTTLED"]["statusCode"] == "429"
    assert responses["THROTTLED"]["responseParameters"]["gatewayresponse.header.Retry-After"] == "'1'"


def test_opening_the_stage_again_restores_the_templates_throttling(template: Template) -> None:
    closed, opened = re.findall(
        r"rateLimit,value=(\d+)' 'op=replace,path=/\*/\*/throttling/burstLimit,value=(\d+)", OPERATIONS
    )
    assert closed == ("0", "0")
    assert opened == tuple(str(SOURCE["Parameters"][name]["Default"]) for name in ("ThrottleRate", "ThrottleBurst"))


def test_the_tables_throughput_is_warmed_and_bounded_by_parameters(given: Template) -> None:
    table = given.resolve(given.resources["Table"]["Properties"])
    assert table["WarmThroughput"] == {"ReadUnitsPerSecond": "20000", "WriteUnitsPerSecond": "8000"}
    assert table["OnDemandThroughput"] == {"MaxReadRequestUnits": "4000", "MaxWriteRequestUnits": "2000"}
    one = Template(WarmWriteUnits="8000", MaxReadUnits="4000")
    table = one.resolve(one.resources["Table"]["Properties"])
    assert table["WarmThroughput"] == {"WriteUnitsPerSecond": "8000"}
    assert table["OnDemandThroughput"] == {"MaxReadRequestUnits": "4000"}


def test_access_logs_hold_the_callers_address_and_no_other_request_data(given: Template) -> None:
    setting = given.resolve(given.resources["ApiStage"]["Properties"]["AccessLogSetting"])
    group = "arn:aws:logs:us-east-1:000000000000:log-group:AccessLogs"
    assert setting["DestinationArn"] == group
    line = json.loads(setting["Format"])
    assert line == {
        "request_id": "$context.requestId",
        "time": "$context.requestTime",
        "source": "$context.identity.sourceIp",
        "route": "$context.httpMethod $context.resourcePath",
        "status": "$context.status",
        "response_type": "$context.error.responseType",
        "tenant": "$context.authorizer.tenant_id",
        "principal": "$context.authorizer.principalId",
        "latency": "$context.responseLatency",
        "authorizer_latency": "$context.authorizer.latency",
        "authorizer_status": "$context.authorizer.status",
        "function_latency": "$context.integration.latency",
        "function_status": "$context.integration.status",
        "bytes": "$context.responseLength",
        "trace": "$context.xrayTraceId",
    }
    logs = given.resources["AccessLogs"]
    assert (logs["DeletionPolicy"], logs["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert given.resolve(logs["Properties"]) == {"RetentionInDays": "7"}


def test_all_functions_log_json_to_the_stacks_log_group(template: Template, given: Template) -> None:
    group, of_the_gateway = (of_type(template, "AWS::Logs::LogGroup").pop(name) for name in ("Logs", "AccessLogs"))
    assert of_the_gateway["Condition"] == "HasAccessLogging"
    assert (group["DeletionPolicy"], group["UpdateReplacePolicy"]) == ("Retain", "Retain")
    for function in of_type(template, "AWS::Lambda::Function").values():
        assert function["Properties"]["LoggingConfig"] == {
            "LogGroup": {"Ref": "Logs"},
            "LogFormat": "JSON",
            "ApplicationLogLevel": "INFO",
            "SystemLogLevel": "WARN",
        }
    assert template.resolve(group["Properties"]) == {"RetentionInDays": "30"}
    assert given.resolve(group["Properties"]) == {"RetentionInDays": "7"}


def test_a_restored_table_keeps_its_name_and_all_settings(template: Template, given: Template) -> None:
    name = template.resources["Table"]["Properties"]["TableName"]
    assert (template.resolve(name), given.resolve(name)) == ("AWS::NoValue", "atrium-restored")
    assert given.resources["Table"] == template.resources["Table"]


# ---------------------------------------------------------------- environments


def environments() -> dict[str, Any]:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    return {name: tables["deploy"]["parameters"] for name, tables in config.items() if isinstance(tables, dict)}


def test_environments_are_separate_stacks_with_existing_parameters() -> None:
    found = environments()
    assert set(found) == {"default", "dev", "dev-alarms", "prod", "prod-alarms"}
    stacks = {name: each["stack_name"] for name, each in found.items()}
    assert len(set(stacks.values())) == len(stacks)
    for name, each in found.items():
        template = ALARMS if name.endswith("-alarms") else SOURCE
        given = dict(pair.split("=", 1) for pair in each.get("parameter_overrides", []))
        for parameter, value in given.items():
            known = template["Parameters"][parameter]
            assert re.fullmatch(known.get("AllowedPattern", ".*"), value), (name, parameter)
            assert value in map(str, known.get("AllowedValues", [value])), (name, parameter)
        if name.endswith("-alarms"):
            assert each["template_file"] == "observability.yaml"
            assert given["Stack"] == stacks[name.removesuffix("-alarms")]
    assert found["prod"]["confirm_changeset"] is True


def test_the_configuration_holds_no_secret() -> None:
    text = (ROOT / "samconfig.toml").read_text()
    assert not re.search(r"atr_|AKIA|secret|password|\d{12}", text, re.IGNORECASE)


# ---------------------------------------------------------------- docs/operations.md


# Options of the AWS CLI itself, not of a service.
OF_THE_CLI = {"query", "output", "cli-binary-format", "cli-read-timeout"}


def test_operations_names_resources_of_the_template(template: Template) -> None:
    text = "\n".join(commands())
    resources = set(re.findall(r"\$\(name (\w+)\)", text))
    functions = set(re.findall(r"\binvoke (\w+)", text))
    assert {"Table", "DeadLetters", "ProjectRequests", "CreateProjectFromEvent", "Logs"} < resources
    assert {"Provision", "Fsck", "RotateCredential", "RevokeCredential", "ListCredentials", "Redrive"} < functions
    assert resources | functions <= set(template.resources)
    assert functions <= set(template.functions)
    for output in re.findall(r"outputs?,? `(\w+)`|, `(BusName)`", OPERATIONS):
        assert "".join(output) in SOURCE["Outputs"]
    for path in re.findall(r"file://(\S+\.json)", text):
        assert path == "table.json" or (ROOT / path).is_file(), path


def test_operations_explains_every_parameter_and_no_others() -> None:
    rows = re.findall(
        r"^\| (`\w+`(?:, `\w+`)*) \|", OPERATIONS.partition("| parameter |")[2].partition("\n\n")[0], re.MULTILINE
    )
    explained = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(explained) == sorted([*SOURCE["Parameters"], *versioned.PARAMETERS])
    given = set(re.findall(r"\b([A-Z]\w+)=\S", "\n".join(line for line in commands() if line.startswith("sam "))))
    assert given <= {*SOURCE["Parameters"], *versioned.PARAMETERS}
    for name in ALARMS["Parameters"]:
        assert f"`{name}`" in OPERATIONS
    for environment in re.findall(r"--config-env ([\w-]+)", OPERATIONS):
        assert environment in environments()


def test_operations_explains_every_alarm() -> None:
    section = OPERATIONS.partition("\n## Alarms\n")[2].partition("\n## ")[0]
    explained = re.findall(r"`([\w-]+)`", "\n".join(re.findall(r"^### .*", section, re.MULTILINE)))
    names = [
        item["Properties"]["AlarmName"]["Fn::Sub"]
        for item in ALARMS["Resources"].values()
        if item["Type"] == "AWS::CloudWatch::Alarm"
    ]
    assert sorted(explained) == sorted(name.removeprefix("${Stack}-") for name in names)
    for metric in UNITS:
        assert f"`{metric}`" in OPERATIONS, metric


def test_operations_uses_existing_aws_commands() -> None:
    session = botocore.session.get_session()
    asked = [line for command in commands() for line in re.findall(r"\baws (?!sqs start)[a-z].*", command)]
    assert len(asked) >= 20
    for command in asked:
        service, operation, *words = re.findall(r"\S+", command)[1:]
        service = {"deploy": "codedeploy"}.get(service, service)
        model = session.get_service_model(service)
        if operation == "wait":
            waiters = session.get_waiter_model(service)
            name = {xform_name(name, "-"): name for name in waiters.waiter_names}[words[0]]
            operation = xform_name(waiters.get_waiter(name).operation, "-")
        shape = model.operation_model(
            {xform_name(name, "-"): name for name in model.operation_names}[operation]
        ).input_shape
        members = {xform_name(name, "-"): each for name, each in (shape.members if shape else {}).items()}
        switches = {f"no-{name}" for name, each in members.items() if each.type_name == "boolean"}
        known = {*members, *switches, *OF_THE_CLI}
        for option in re.findall(r"(?<=\s)--([a-z-]+)", command):
            assert option in known, (command, option)


def test_a_closed_table_refuses_every_write_of_a_function(template: Template) -> None:
    (policy,) = re.findall(r"put-resource-policy .*?--policy '(.*?)'$", OPERATIONS, re.MULTILINE | re.DOTALL)
    (statement,) = json.loads(policy.replace("""'"$table"'""", "<table>"))["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Resource"]) == ("Deny", "*", "<table>")
    allowed = {
        action
        for name in template.functions
        for statement in statements(template, name)
        for action in statement["Action"]
        if action.startswith("dynamodb:")
    }
    reads = {f"dynamodb:{name}" for name in ("GetItem", "BatchGetItem", "Query", "Scan", "ConditionCheckItem")}
    reads |= {f"dynamodb:{name}" for name in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")}
    assert allowed - reads == {*statement["Action"]} - {"dynamodb:PartiQL*"}


def test_a_table_is_imported_as_the_template_makes_it(template: Template) -> None:
    written = re.search(r"^cat > table\.json <<'END'\n(.*?)^END$", OPERATIONS, re.MULTILINE | re.DOTALL)
    assert written is not None
    ((name, table),) = json.loads(written[1])["Resources"].items()
    made = template.resources[name]
    assert {**made, "Properties": None} == {**table, "Properties": None}
    for property, value in table["Properties"].items():
        if property != "TableName":
            assert made["Properties"][property] == value, property
