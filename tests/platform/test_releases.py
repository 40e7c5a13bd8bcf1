"""The form of the template with versions and aliases has the API and the functions of the plain form, in nested stacks,
and shifts traffic to a release.
"""

import json
import re
from copy import deepcopy
from fnmatch import fnmatchcase
from typing import Any

import pytest

from local.template import ROOT, Template, parsed, translated
from tests.support.routes import routes
from tools import versioned

SOURCE = parsed((ROOT / "template.yaml").read_text())
ALARMS = parsed((ROOT / "observability.yaml").read_text())

# The longest stack name allowed by docs/operations.md for this form.
LONGEST_STACK_NAME = 32


@pytest.fixture(scope="module")
def templates() -> dict[str, Any]:
    return versioned.versioned(SOURCE, "one")


@pytest.fixture(scope="module")
def parent(templates: dict[str, Any]) -> dict[str, Any]:
    """The resources of the parent."""
    return translated(templates["versioned.json"])


@pytest.fixture(scope="module")
def release(templates: dict[str, Any]) -> dict[str, Any]:
    return resources_of(templates)


def resources_of(templates: dict[str, Any]) -> dict[str, Any]:
    """The resources of the parent and of all nested stacks, with the parent's values for their parameters."""
    found = translated(templates["versioned.json"])
    for stack in list(of_type(found, "AWS::CloudFormation::Stack").values()):
        nested = translated(templates[stack["Properties"]["TemplateURL"]])
        found |= with_values(nested, stack["Properties"]["Parameters"])
    return found


def with_values(value: Any, given: dict[str, Any]) -> Any:
    match value:
        case {"Ref": str(name)}:
            return given.get(name, value)
        case {"Fn::Sub": str(text)}:
            return {"Fn::Sub": re.sub(r"\$\{(\w+)\}", lambda found: f"${{{given[found[1]]['Ref']}}}", text)}
        case dict():
            return {name: with_values(item, given) for name, item in value.items()}
        case list():
            return [with_values(item, given) for item in value]
    return value


def of_type(resources: dict[str, Any], type: str) -> dict[str, Any]:
    return {name: item for name, item in resources.items() if item["Type"] == type}


def behind_the_api(template: Template) -> set[str]:
    return {"Authorizer", *routes(template), *routes(template, public=True)}


# ---------------------------------------------------------------- the same API


def invoked(document: dict[str, Any], names: dict[str, str]) -> dict[tuple[str, str], str]:
    """Takes the invoked functions out of an API's document: one for each operation, and the authorizer. `names` has the
    function of each reference in the document.
    """
    found = {}
    scheme = document["components"]["securitySchemes"]["Credential"]["x-amazon-apigateway-authorizer"]
    scheme.pop("authorizerCredentials", None)
    places = {("authorizer", ""): scheme.pop("authorizerUri")}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            integration = operation["x-amazon-apigateway-integration"]
            if integration["type"] == "aws_proxy":
                integration.pop("credentials", None)
                places[method, path] = integration.pop("uri")
    for place, uri in places.items():
        text = uri["Fn::Sub"] if isinstance(uri["Fn::Sub"], str) else uri["Fn::Sub"][0]
        if text.endswith("${__FunctionArn__}/invocations"):
            text = text.replace("__FunctionArn__", ".".join(uri["Fn::Sub"][1]["__FunctionArn__"]["Fn::GetAtt"]))
        function = re.fullmatch(
            r"arn:(?:aws|\$\{AWS::Partition\}):apigateway:\$\{AWS::Region\}:lambda:path/2015-03-31/functions/(.*)/invocations",
            text,
        )
        assert function is not None, text
        found[place] = names[function[1]]
    return found


def test_the_api_differs_from_the_plain_form_only_in_the_invocation_of_functions(
    template: Template, release: dict[str, Any]
) -> None:
    """Paths, methods, authorizer, CORS answers and gateway responses; compression, stage, throttling and tracing."""
    plain = deepcopy(template.resources)
    versions = deepcopy(release)
    own, alias = (made["Api"]["Properties"].pop("Body") for made in (plain, versions))
    functions = behind_the_api(template)
    assert invoked(own, {f"${{{name}.Arn}}": name for name in functions}) == invoked(
        alias,
        {
            "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:"
            + release[name]["Properties"]["FunctionName"]["Fn::Sub"]
            + ":live": name
            for name in functions
        },
    )
    assert len(own["paths"]) > 30
    assert alias == own
    for made in (plain, versions):
        made["ApiStage"]["Properties"].pop("DeploymentId")
    after = versions["Api"].pop("DependsOn")
    assert set(after) == {
        *of_type(release, "AWS::CloudFormation::Stack"),
        *(f"{name}Aliaslive" for name in ("Authorizer", "GetDocs", "GetOpenapi")),
    }
    kinds = {item["Type"] for item in plain.values() if item["Type"].startswith("AWS::ApiGateway::")}
    for kind in kinds - {"AWS::ApiGateway::Deployment"}:
        assert of_type(versions, kind) == of_type(plain, kind), kind
    assert len(of_type(versions, "AWS::ApiGateway::Deployment")) == 1


def test_the_gateways_role_may_invoke_only_the_aliases_of_this_stack(
    template: Template, release: dict[str, Any]
) -> None:
    role = release["GatewayRole"]["Properties"]
    (trusted,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trusted == {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "apigateway.amazonaws.com"},
    }
    assert set(role) == {"AssumeRolePolicyDocument", "Policies"}
    (policy,) = role["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (set(statement), statement["Action"]) == ({"Effect", "Action", "Resource"}, ["lambda:InvokeFunction"])
    prefix = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:"
    pattern = statement["Resource"]["Fn::Sub"].removeprefix(prefix).replace("${AWS::StackName}", "atrium-prod")
    named = {
        name: item["Properties"]["FunctionName"]["Fn::Sub"].replace("${AWS::StackName}", "atrium-prod")
        for name, item in of_type(release, "AWS::Lambda::Function").items()
        if "FunctionName" in item["Properties"]
    }
    assert set(named) == behind_the_api(template)
    assert len(set(named.values())) == len(named)
    for name in named.values():
        assert fnmatchcase(f"{name}:live", pattern), name
        assert not fnmatchcase(name, pattern), name
        # The function of another stack whose name starts with this one's.
        assert not fnmatchcase(f"{name.replace('atrium-prod', 'atrium-prod-eu')}:live", pattern), name
        assert len(name) - len("atrium-prod") + LONGEST_STACK_NAME <= 64, name
    # Names chosen by CloudFormation: functions without a URL, and those of the plain form.
    for name in template.functions:
        assert not fnmatchcase(f"atrium-prod-{name}-1A2B3C4D5E6F:live", pattern), name
    users = {item["Properties"]["Role"]["Fn::GetAtt"][0] for item in of_type(release, "AWS::Lambda::Function").values()}
    assert "GatewayRole" not in users


def test_no_function_has_an_invoke_permission_of_its_own(release: dict[str, Any]) -> None:
    callers = {item["Properties"]["Principal"] for item in of_type(release, "AWS::Lambda::Permission").values()}
    assert callers == {"events.amazonaws.com"}


# ---------------------------------------------------------------- the same functions


def test_a_function_differs_from_the_plain_forms_in_its_name_and_its_release(
    template: Template, release: dict[str, Any]
) -> None:
    """Role, layers, limits, log, tracing and variables are equal."""
    for name, plain in of_type(template.resources, "AWS::Lambda::Function").items():
        properties = deepcopy(release[name]["Properties"])
        if name in behind_the_api(template):
            properties.pop("FunctionName")
            assert properties.pop("SnapStart") == {"ApplyOn": {"Fn::If": ["HasSnapStart", "PublishedVersions", "None"]}}
            assert properties["Environment"]["Variables"].pop("RELEASE") == "one"
        assert properties == plain["Properties"], name


def test_all_other_resources_are_the_parents_and_equal_the_plain_form(
    template: Template, templates: dict[str, Any], parent: dict[str, Any]
) -> None:
    """Table, bus, queues, logs, roles, the functions without a URL, and the exports for the alarms' stack."""
    elsewhere = behind_the_api(template)
    for name, item in template.resources.items():
        of_the_api = item["Type"].startswith("AWS::ApiGateway::") or item["Type"] == "AWS::Lambda::Permission"
        if name not in elsewhere and not of_the_api:
            assert parent[name] == item, name
    assert templates["versioned.json"]["Outputs"] == SOURCE["Outputs"]
    assert {name: SOURCE["Parameters"][name] for name in SOURCE["Parameters"]} == {
        name: each
        for name, each in templates["versioned.json"]["Parameters"].items()
        if name not in versioned.PARAMETERS
    }


def test_a_nested_stack_has_the_routes_of_one_folder_and_the_parents_conditions(
    template: Template, templates: dict[str, Any], parent: dict[str, Any]
) -> None:
    folders = {}
    for stack in of_type(parent, "AWS::CloudFormation::Stack").values():
        file = stack["Properties"]["TemplateURL"]
        nested = templates[file]
        folders[file] = {".".join(template.functions[name].handler.split(".")[:-2]) for name in nested["Resources"]}
        assert set(nested) == {
            *("AWSTemplateFormatVersion", "Transform", "Parameters", "Conditions", "Globals", "Resources")
        }
        assert set(nested["Parameters"]) == set(stack["Properties"]["Parameters"])
        # A nested stack's own name differs from the parent's.
        assert "AWS::StackName" not in json.dumps(nested)
        assert stack["Properties"]["Parameters"]["StackName"] == {"Ref": "AWS::StackName"}
        conditions = with_values(nested["Conditions"], stack["Properties"]["Parameters"])
        assert conditions.items() <= templates["versioned.json"]["Conditions"].items()
    assert folders == {"versioned.projects.json": {"projects"}, "versioned.v1.json": {"v1"}}
    assert set(templates) == {"versioned.json", *folders}


# ---------------------------------------------------------------- a release


def test_a_release_has_a_version_and_an_alias_of_each_function_behind_the_api(
    template: Template, release: dict[str, Any]
) -> None:
    aliases = of_type(release, "AWS::Lambda::Alias")
    assert {name.removesuffix("Aliaslive") for name in aliases} == behind_the_api(template)
    assert {item["Properties"]["Name"] for item in aliases.values()} == {"live"}
    for name, version in of_type(release, "AWS::Lambda::Version").items():
        assert version["DeletionPolicy"] == "Delete", name


def test_every_release_is_a_new_version_of_every_function(release: dict[str, Any]) -> None:
    """SAM publishes a version when the template's text changes. A parameter's value is not part of the text, so a new
    JwtIssuer alone would not be released.
    """
    following = resources_of(versioned.versioned(SOURCE, "two"))
    one, two = (set(of_type(each, "AWS::Lambda::Version")) for each in (release, following))
    assert len(one) == len(two) == len(of_type(release, "AWS::Lambda::Alias"))
    assert not one & two


def test_a_release_shifts_as_configured_and_an_alarm_rolls_it_back(
    templates: dict[str, Any], release: dict[str, Any]
) -> None:
    alarms = {item["Properties"].get("AlarmName", {}).get("Fn::Sub") for item in ALARMS["Resources"].values()}
    groups = of_type(release, "AWS::CodeDeploy::DeploymentGroup")
    for name, alias in of_type(release, "AWS::Lambda::Alias").items():
        group = name.replace("Aliaslive", "DeploymentGroup")
        assert alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"] == {"Ref": group}
        properties = groups[group]["Properties"]
        watched = {
            each["Name"]["Fn::Sub"].replace("AWS::StackName", "Stack")
            for each in properties["AlarmConfiguration"]["Alarms"]
        }
        assert len(watched) == 3
        assert watched <= alarms
        assert "DEPLOYMENT_STOP_ON_ALARM" in properties["AutoRollbackConfiguration"]["Events"]
        # The translator inserts the values of parameters it knows.
        assert properties["DeploymentConfigName"]["Fn::Sub"] in (
            "CodeDeployDefault.LambdaAllAtOnce",
            "CodeDeployDefault.Lambda${GradualDeployment}",
        )
    parameters = templates["versioned.json"]["Parameters"]
    assert (parameters["GradualDeployment"]["Default"], parameters["SnapStart"]["Default"]) == ("AllAtOnce", "off")
    assert templates["versioned.json"]["Conditions"]["HasSnapStart"] == {"Fn::Equals": [{"Ref": "SnapStart"}, "on"]}
