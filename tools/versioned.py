"""`make versioned`: writes versioned.json, the template for gradual deployments and SnapStart.

template.yaml gives new code to all callers at once. In this form of it, each function that a request passes through has
a version for each release, and an alias that the API invokes. SAM cannot make that depend on a parameter (decision
0013), so it is a form of its own, made from template.yaml for each release.

A route takes four resources of this form, so the routes of each folder of functions/ are a stack of their own, nested
in the one that has everything else (decision 0044). Their templates are versioned.<folder>.json.
"""

import json
import re
import time
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from local.template import ROOT, parsed, translated

PARENT = "versioned.json"
ALIAS = "live"

# Those of observability.yaml that tell a bad release: any of them takes it back.
ALARMS = ("server-errors", "latency", "authorizer-failures")

PARAMETERS = {
    "GradualDeployment": {
        "Type": "String",
        "Default": "AllAtOnce",
        "AllowedValues": [
            "AllAtOnce",
            "Canary10Percent5Minutes",
            "Canary10Percent10Minutes",
            "Canary10Percent15Minutes",
            "Canary10Percent30Minutes",
            "Linear10PercentEvery1Minute",
            "Linear10PercentEvery2Minutes",
            "Linear10PercentEvery3Minutes",
            "Linear10PercentEvery10Minutes",
        ],
        "Description": "How requests move to a new release; an alarm takes it back.",
    },
    "SnapStart": {
        "Type": "String",
        "Default": "off",
        "AllowedValues": ["on", "off"],
        "Description": "Whether functions start from a snapshot; it is billed for each version and each start.",
    },
}


def versioned(template: Mapping[str, Any], release: str) -> dict[str, dict[str, Any]]:
    """The templates of this form, by the name of their file, made from the plain form; `release` is in the environment
    of each function that a request passes through, so that every release is a new version of it.
    """
    parent = deepcopy(dict(template))
    resources = parent["Resources"]
    parent["Parameters"] |= PARAMETERS
    parent["Conditions"]["HasSnapStart"] = {"Fn::Equals": [{"Ref": "SnapStart"}, "on"]}
    names: dict[str, str] = {}
    folders: dict[str, dict[str, Any]] = {}
    for name, resource in list(resources.items()):
        if _is_invoked_by_the_api(name, resource):
            names[name] = _function_name(resource)
            resources[name] = _with_versions(resource, release)
            if folder := _folder(resource):
                folders.setdefault(folder, {})[name] = resources.pop(name)
    children = {folder: _Child(parent, functions) for folder, functions in folders.items()}
    for folder, child in children.items():
        resources[_stack(folder)] = {
            "Type": "AWS::CloudFormation::Stack",
            "Properties": {"TemplateURL": _file(folder), "Parameters": child.given},
        }
    resources["GatewayRole"] = _GATEWAY_ROLE
    api = resources["Api"]
    # A request comes to a function when it is there: the API is changed after all of them.
    api["DependsOn"] = [*map(_stack, children), *(f"{name}Alias{ALIAS}" for name in names if name in resources)]
    for made_by_the_translator in ("Auth", "Cors", "GatewayResponses"):
        del api["Properties"][made_by_the_translator]
    api["Properties"]["DefinitionBody"] = _by_name(translated(template)["Api"]["Properties"]["Body"], names)
    return {PARENT: parent, **{_file(folder): child.template for folder, child in children.items()}}


def _is_invoked_by_the_api(name: str, resource: Mapping[str, Any]) -> bool:
    events = resource["Properties"].get("Events", {}).values()
    return name == "Authorizer" or any(event["Type"] == "Api" for event in events)


def _module(resource: Mapping[str, Any]) -> list[str]:
    return str(resource["Properties"]["Handler"]).split(".")[:-1]


def _folder(resource: Mapping[str, Any]) -> str:
    """The folder of functions/ that a function is in, in words between dots; empty for functions/ itself."""
    return ".".join(_module(resource)[:-1])


def _stack(folder: str) -> str:
    """The logical id of a nested stack."""
    return "".join(word.title() for word in folder.split(".")) + "Routes"


def _file(folder: str) -> str:
    return f"versioned.{folder}.json"


def _function_name(resource: Mapping[str, Any]) -> str:
    """It begins with the name of the whole stack and an underscore. Neither names of stacks nor what CloudFormation
    names by itself have one, so no function of another stack, or behind the stream, begins like this.
    """
    return "${AWS::StackName}_" + "_".join(_module(resource))


def _with_versions(resource: Mapping[str, Any], release: str) -> dict[str, Any]:
    """A function of its name, with a version and an alias, without events of its own."""
    own = {name: value for name, value in resource["Properties"].items() if name != "Events"}
    return {
        **resource,
        "Properties": {
            **own,
            "FunctionName": {"Fn::Sub": _function_name(resource)},
            "AutoPublishAlias": ALIAS,
            "AutoPublishAliasAllProperties": True,
            # Each that is kept costs what SnapStart costs; going back is deploying what was before.
            "VersionDeletionPolicy": "Delete",
            # SAM makes a version when the template's text changes, and the value of a parameter is none of it.
            "Environment": {"Variables": {"RELEASE": release}},
            "SnapStart": {"ApplyOn": {"Fn::If": ["HasSnapStart", "PublishedVersions", "None"]}},
            "DeploymentPreference": {
                # Spelled out: where the translator does not know a parameter's value, it leaves out what is before it.
                "Type": {"Fn::Sub": "CodeDeployDefault.Lambda${GradualDeployment}"},
                "Alarms": [{"Fn::Sub": f"${{AWS::StackName}}-{alarm}"} for alarm in ALARMS],
            },
        },
    }


# The gateway invokes with a role of its own, so no function needs a permission for it.
_GATEWAY_ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "apigateway.amazonaws.com"}}
            ],
        },
        "Policies": [
            {
                "PolicyName": "own",
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Action": ["lambda:InvokeFunction"],
                            "Resource": {
                                "Fn::Sub": "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:"
                                f"${{AWS::StackName}}_*:{ALIAS}"
                            },
                        }
                    ],
                },
            }
        ],
    },
}


def _by_name(document: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The API's document, its functions' aliases invoked by name and with the gateway's role."""
    made = deepcopy(dict(document))
    role = {"Fn::GetAtt": ["GatewayRole", "Arn"]}

    def invocation(name: str) -> dict[str, str]:
        function = f"arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:{names[name]}:{ALIAS}"
        place = f"lambda:path/2015-03-31/functions/{function}/invocations"
        return {"Fn::Sub": f"arn:${{AWS::Partition}}:apigateway:${{AWS::Region}}:{place}"}

    for operations in made["paths"].values():
        # The translator puts a schema around each of these headers whenever it sees a document, the second time now.
        headers = operations["options"]["responses"]["200"]["headers"]
        headers |= {name: header["schema"] for name, header in headers.items()}
        for operation in operations.values():
            integration = operation["x-amazon-apigateway-integration"]
            if integration["type"] == "aws_proxy":
                (name,) = re.findall(r"\$\{(\w+)\.Arn\}", integration["uri"]["Fn::Sub"])
                integration |= {"uri": invocation(name), "credentials": role}
    authorizer = made["components"]["securitySchemes"]["Credential"]["x-amazon-apigateway-authorizer"]
    authorizer |= {"authorizerUri": invocation("Authorizer"), "authorizerCredentials": role}
    return made


class _Child:
    """The template of a nested stack with some functions of the parent: what they refer to there are parameters here,
    which the parent gives (`given`).
    """

    def __init__(self, parent: Mapping[str, Any], functions: Mapping[str, Any]) -> None:
        self.given: dict[str, Any] = {}
        self._parent = parent
        self._conditions: dict[str, Any] = {}
        moved = {"Globals": self._moved(parent["Globals"]), "Resources": self._moved(functions)}
        self.template = {
            **{name: parent[name] for name in ("AWSTemplateFormatVersion", "Transform")},
            "Parameters": {name: {"Type": self._type(name)} for name in self.given},
            "Conditions": self._conditions,
            **moved,
        }

    def _type(self, name: str) -> str:
        return str(self._parent["Parameters"].get(name, {}).get("Type", "String"))

    def _moved(self, value: Any) -> Any:
        match value:
            case {"Ref": str(name)}:
                return {"Ref": self._parameter(name, value)}
            case {"Fn::GetAtt": [name, attribute]} | {"Fn::If": [_, _, {"Fn::GetAtt": [name, attribute]}]}:
                # The parent decides, since the resource may not be there.
                return {"Ref": self._parameter(f"{name}{attribute}", value)}
            case {"Fn::Sub": str(text)}:
                return {"Fn::Sub": re.sub(r"\$\{([\w:]+)\}", self._substituted, text)}
            case {"Fn::If": [condition, *_]}:
                self._conditions[condition] = self._moved(self._parent["Conditions"][condition])
        if isinstance(value, dict):
            return {name: self._moved(item) for name, item in value.items()}
        return [self._moved(item) for item in value] if isinstance(value, list) else value

    def _substituted(self, found: re.Match[str]) -> str:
        return f"${{{self._parameter(found[1], {'Ref': found[1]})}}}"

    def _parameter(self, name: str, value: Any) -> str:
        """The name of the parameter for a value of the parent. AWS gives a nested stack all but a name by itself."""
        if name == "AWS::StackName":
            name = "StackName"
        if not name.startswith("AWS::"):
            self.given[name] = value
        return name


def main() -> None:
    template = parsed((ROOT / "template.yaml").read_text())
    release = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for name, made in versioned(template, release).items():
        (ROOT / name).write_text(json.dumps(made, indent=1))
    print(f"{PARENT}, release {release}. Now: sam build -t {PARENT}")


if __name__ == "__main__":
    main()
