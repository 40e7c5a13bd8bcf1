"""template.yaml, read as AWS reads it: transformed by the translator that CloudFormation runs, intrinsics resolved.

Routes, authorizer, CORS and gateway responses come out of the same OpenAPI document that API Gateway imports, so they
cannot drift from what is deployed.
"""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

REGION = "us-east-1"
ACCOUNT = "000000000000"
TABLE_NAME = "atrium"

# DynamoDB Local with -sharedDb takes any pair; an SDK wants one.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": REGION}

# The translator wants addresses of uploaded code; nothing here is uploaded.
_CODE = "s3://local/code"


@dataclass(frozen=True)
class Function:
    """A function of the template; `timeout` in seconds, `environment` with its references resolved."""

    name: str
    handler: str
    timeout: int
    memory: int
    environment: Mapping[str, str]


class Template:
    """The template at `path`; parameters that are not given have their defaults."""

    def __init__(self, path: Path = ROOT / "template.yaml", /, **given: str) -> None:
        # The translator takes a while to import, and only starting needs it.
        os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
        logging.getLogger("samtranslator").setLevel(logging.ERROR)
        from samtranslator.translator.transform import transform
        from samtranslator.yaml_helper import yaml_parse

        source = yaml_parse(path.read_text())
        source["Globals"]["Function"]["CodeUri"] = _CODE
        for resource in source["Resources"].values():
            if resource["Type"] == "AWS::Serverless::LayerVersion":
                resource["Properties"]["ContentUri"] = _CODE
        self.resources: dict[str, Any] = transform(source, {}, _NoManagedPolicies())["Resources"]
        self._values = {
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            **{name: parameter.get("Default", "") for name, parameter in source.get("Parameters", {}).items()},
            **given,
            "AWS::StackName": "atrium",
            **{name: TABLE_NAME for name, item in self._of_type("AWS::DynamoDB::Table")},
        }
        self._conditions: dict[str, Any] = source.get("Conditions", {})
        # What a Ref to a bus gives is its name.
        self._values |= {name: self.resolve(item["Name"]) for name, item in self._of_type("AWS::Events::EventBus")}

    @cached_property
    def functions(self) -> dict[str, Function]:
        """By logical id."""
        return {
            name: Function(
                name=name,
                handler=properties["Handler"],
                timeout=properties["Timeout"],
                memory=properties["MemorySize"],
                environment=self.resolve(properties["Environment"]["Variables"]),
            )
            for name, properties in self._of_type("AWS::Lambda::Function")
        }

    @cached_property
    def api(self) -> dict[str, Any]:
        """The OpenAPI document that API Gateway imports."""
        ((_, properties),) = self._of_type("AWS::ApiGateway::RestApi")
        document: dict[str, Any] = self.resolve(properties["Body"])
        return document

    @property
    def stage(self) -> str:
        return str(self._values["Stage"])

    @cached_property
    def table(self) -> dict[str, Any]:
        """The table's properties."""
        ((_, properties),) = self._of_type("AWS::DynamoDB::Table")
        return {"TableName": TABLE_NAME, **properties}

    def resolve(self, value: Any) -> Any:
        """The value with its intrinsic functions replaced. Raises ValueError for one that is not known here."""
        match value:
            case {"Ref": str(name)}:
                return self._values.get(name, name)
            case {"Fn::GetAtt": [name, attribute]}:
                return self._attribute(name, attribute)
            case {"Fn::If": [condition, then, otherwise]}:
                return self.resolve(then if self._holds(self._conditions[condition]) else otherwise)
            case {"Fn::Sub": str(text)}:
                return self._substitute(text, {})
            case {"Fn::Sub": [text, given]}:
                return self._substitute(text, self.resolve(given))
            case dict() if len(value) == 1 and next(iter(value)).startswith("Fn::"):
                raise ValueError(f"{next(iter(value))} is not known to the laptop edition")
            case dict():
                return {key: self.resolve(item) for key, item in value.items()}
            case list():
                return [self.resolve(item) for item in value]
            case _:
                return value

    def _holds(self, condition: Any) -> bool:
        match condition:
            case {"Fn::Not": [negated]}:
                return not self._holds(negated)
            case {"Fn::Equals": [one, other]}:
                return bool(self.resolve(one) == self.resolve(other))
        raise ValueError(f"{condition} is not known to the laptop edition")

    def _attribute(self, name: str, attribute: str) -> str:
        match self.resources[name]["Type"], attribute:
            case "AWS::Lambda::Function", "Arn":
                return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
            case "AWS::SQS::Queue", "Arn":
                return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
            case "AWS::Events::EventBus", "Arn":
                return f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{self._values[name]}"
            case "AWS::DynamoDB::Table", "Arn":
                return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{TABLE_NAME}"
            case "AWS::DynamoDB::Table", "StreamArn":
                return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{TABLE_NAME}/stream/local"
        raise ValueError(f"{name}.{attribute} is not known to the laptop edition")

    def _substitute(self, text: str, given: Mapping[str, Any]) -> str:
        def value(found: re.Match[str]) -> str:
            name, _, attribute = found[1].partition(".")
            if attribute:
                return str(self.resolve({"Fn::GetAtt": [name, attribute]}))
            return str(given.get(name, self._values.get(name, name)))

        return re.sub(r"\$\{([^!}]+)\}", value, text)

    def _of_type(self, type: str) -> list[tuple[str, dict[str, Any]]]:
        return [(name, item["Properties"]) for name, item in self.resources.items() if item["Type"] == type]


def lambda_environment(function: Function, endpoint: str) -> dict[str, str]:
    """A function's environment as Lambda makes it, with the table behind an endpoint on this machine."""
    return {
        **function.environment,
        **CREDENTIALS,
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    }


class _NoManagedPolicies:
    """The translator asks for the account's managed policies, which this template uses none of."""

    def load(self) -> dict[str, str]:
        return {}


def create_table(client: Any, properties: Mapping[str, Any]) -> None:
    """Makes the template's table with a DynamoDB client, unless it is there. What engines on a laptop do not have
    (point-in-time recovery, deletion protection) is left out."""
    try:
        client.describe_table(TableName=properties["TableName"])
        return
    except client.exceptions.ResourceNotFoundException:
        pass
    wanted = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema")
    stream = {"StreamEnabled": True, **properties["StreamSpecification"]}
    client.create_table(**{name: properties[name] for name in wanted}, StreamSpecification=stream)
    client.get_waiter("table_exists").wait(TableName=properties["TableName"], WaiterConfig={"Delay": 1})
    client.update_time_to_live(
        TableName=properties["TableName"], TimeToLiveSpecification=properties["TimeToLiveSpecification"]
    )
