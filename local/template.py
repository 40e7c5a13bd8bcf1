"""Reads template.yaml as AWS does: transforms it by the translator that CloudFormation runs, and resolves intrinsics.

Routes, authorizer, CORS and gateway responses come from the OpenAPI document that API Gateway imports, so they cannot
differ from the deployed ones.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

REGION = "us-east-1"
ACCOUNT = "000000000000"
TABLE_NAME = "atrium"

# The translation of the template that was read last.
KEPT = ROOT / ".aws-sam" / "translated.json"

_NO_VALUE = {"Ref": "AWS::NoValue"}


@dataclass(frozen=True)
class Function:
    """A function of the template: `timeout` in seconds, `environment` with resolved references, `layers` by logical id,
    `concurrency` as the number of invocations at a time (None: no limit of its own).
    """

    name: str
    handler: str
    timeout: int
    memory: int
    environment: Mapping[str, str]
    layers: tuple[str, ...] = ()
    concurrency: int | None = None


@dataclass(frozen=True)
class AsyncConfig:
    """How Lambda treats an asynchronous event on which a function fails: it tries again `retries` times, then leaves a
    dead letter in the queue `on_failure` (its ARN).
    """

    retries: int = 2
    on_failure: str | None = None


@dataclass(frozen=True)
class EventSource:
    """A source that Lambda reads for a function: the ARN `source` is the table's stream or a queue.

    `concurrency` is the number of a queue's batches that are processed at a time (None: no limit of its own).
    `filters` are patterns as JSON texts, one of which a stream record must match. The other fields concern streams:
    `retries` and `max_age` (seconds) have no limit if None, `on_failure` is the ARN of a queue.
    """

    name: str
    function: Function
    source: str
    batch_size: int
    concurrency: int | None = None
    filters: tuple[str, ...] = ()
    reports_failures: bool = False
    bisects: bool = False
    retries: int | None = None
    max_age: int | None = None
    on_failure: str | None = None
    starting_position: str = "TRIM_HORIZON"


@dataclass(frozen=True)
class Queue:
    """A queue: a message that was received `max_receives` times in vain moves to the queue `redrive_to` (its ARN). In a
    queue with `fifo` the messages of a group are received one after the other, and an id is accepted once, in the whole
    queue or, with `once_by_group`, in each group.
    """

    arn: str
    redrive_to: str | None = None
    max_receives: int | None = None
    fifo: bool = False
    once_by_group: bool = False

    @property
    def name(self) -> str:
        return self.arn.rpartition(":")[2]


@dataclass(frozen=True)
class Rule:
    """An enabled rule of the event bus `bus`, with a pattern (a JSON text) or a schedule; `targets` are ARNs."""

    name: str
    arn: str
    bus: str
    pattern: str | None
    schedule: str | None
    targets: tuple[str, ...]


class Template:
    """The template at `path`; omitted parameters have their defaults."""

    def __init__(self, path: Path = ROOT / "template.yaml", /, **given: str) -> None:
        source = parsed(path.read_text())
        known = source.get("Parameters", {})
        if unknown := given.keys() - known.keys():
            sys.exit(f"{path.name} has no parameter {', '.join(sorted(unknown))}; it has {', '.join(known)}.")
        self.resources = _kept(source)
        self._values = {
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            **{name: str(parameter.get("Default", "")) for name, parameter in known.items()},
            **given,
            "AWS::StackName": "atrium",
            **{name: TABLE_NAME for name, item in self._of_type("AWS::DynamoDB::Table")},
        }
        self._conditions: dict[str, Any] = source.get("Conditions", {})
        # The translator appends a hash of ten digits, so that a changed layer is a new resource.
        self._values |= {name: name[:-10] for name, _ in self._of_type("AWS::Lambda::LayerVersion")}
        # A Ref to a queue is its URL; a Ref to a bus is its name.
        self._values |= {
            name: f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{_queue_name(name, properties)}"
            for name, properties in self._of_type("AWS::SQS::Queue")
        }
        self._values |= {name: self.resolve(item["Name"]) for name, item in self._of_type("AWS::Events::EventBus")}

    @cached_property
    def functions(self) -> dict[str, Function]:
        """The functions by logical id, without those whose condition does not hold."""
        return {
            name: Function(
                name=name,
                handler=properties["Handler"],
                timeout=properties["Timeout"],
                memory=properties["MemorySize"],
                environment=self.resolve(properties["Environment"]["Variables"]),
                layers=tuple(self.resolve(properties["Layers"])),
                concurrency=self._concurrency(properties),
            )
            for name, properties in self._of_type("AWS::Lambda::Function")
            if "Condition" not in self.resources[name] or self._holds({"Condition": self.resources[name]["Condition"]})
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
        return {**properties, "TableName": TABLE_NAME}

    @cached_property
    def stream(self) -> str:
        """The ARN of the table's stream."""
        ((name, _),) = self._of_type("AWS::DynamoDB::Table")
        return self._attribute(name, "StreamArn")

    @cached_property
    def event_sources(self) -> list[EventSource]:
        return [self._event_source(name, item) for name, item in self._of_type("AWS::Lambda::EventSourceMapping")]

    @cached_property
    def queues(self) -> dict[str, Queue]:
        """The queues by ARN."""
        found = {}
        for name, properties in self._of_type("AWS::SQS::Queue"):
            redrive = self.resolve(properties.get("RedrivePolicy", {}))
            arn = self._attribute(name, "Arn")
            found[arn] = Queue(
                arn=arn,
                redrive_to=redrive.get("deadLetterTargetArn"),
                max_receives=redrive.get("maxReceiveCount"),
                fifo=_is_fifo(properties),
                once_by_group=properties.get("DeduplicationScope") == "messageGroup",
            )
        return found

    @cached_property
    def rules(self) -> list[Rule]:
        """The enabled rules."""
        found = []
        for name, item in self._of_type("AWS::Events::Rule"):
            properties = self.resolve(item)
            if properties.get("State") != "DISABLED":
                bus = properties.get("EventBusName", "default")
                place = name if bus == "default" else f"{bus}/{name}"
                pattern = properties.get("EventPattern")
                rule = Rule(
                    name=name,
                    arn=f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{place}",
                    bus=bus,
                    pattern=json.dumps(pattern) if pattern else None,
                    schedule=properties.get("ScheduleExpression"),
                    targets=tuple(target["Arn"] for target in properties["Targets"]),
                )
                found.append(rule)
        return found

    def async_config(self, function: Function) -> AsyncConfig:
        for _, item in self._of_type("AWS::Lambda::EventInvokeConfig"):
            properties = self.resolve(item)
            if properties["FunctionName"] == function.name:
                return AsyncConfig(properties.get("MaximumRetryAttempts", 2), _on_failure(properties))
        return AsyncConfig()

    def function(self, arn: str) -> Function | None:
        """The function with this ARN, or None if the ARN is no function's."""
        return next((each for each in self.functions.values() if function_arn(each.name) == arn), None)

    def _concurrency(self, properties: Mapping[str, Any]) -> int | None:
        reserved = self.resolve(properties.get("ReservedConcurrentExecutions", _NO_VALUE))
        return None if reserved == _NO_VALUE["Ref"] else int(reserved)

    def _event_source(self, name: str, item: Mapping[str, Any]) -> EventSource:
        properties = self.resolve(item)
        return EventSource(
            name=name,
            function=self.functions[properties["FunctionName"]],
            source=properties["EventSourceArn"],
            batch_size=properties["BatchSize"],
            concurrency=properties.get("ScalingConfig", {}).get("MaximumConcurrency"),
            filters=tuple(each["Pattern"] for each in properties.get("FilterCriteria", {}).get("Filters", [])),
            reports_failures="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
            bisects=properties.get("BisectBatchOnFunctionError", False),
            retries=_unless_infinite(properties.get("MaximumRetryAttempts", -1)),
            max_age=_unless_infinite(properties.get("MaximumRecordAgeInSeconds", -1)),
            on_failure=_on_failure(properties),
            starting_position=properties.get("StartingPosition", "TRIM_HORIZON"),
        )

    def resolve(self, value: Any) -> Any:
        """The value with its intrinsic functions replaced. Raises ValueError for an unknown one."""
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
            case {"Fn::And": conditions}:
                return all(map(self._holds, conditions))
            case {"Condition": str(name)}:
                return self._holds(self._conditions[name])
        raise ValueError(f"{condition} is not known to the laptop edition")

    def _attribute(self, name: str, attribute: str) -> str:
        match self.resources[name]["Type"], attribute:
            case "AWS::Lambda::Function", "Arn":
                return function_arn(name)
            case "AWS::IAM::Role", "Arn":
                return f"arn:aws:iam::{ACCOUNT}:role/{name}"
            case "AWS::SQS::Queue", "Arn":
                return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{_queue_name(name, self.resources[name]['Properties'])}"
            case "AWS::KMS::Key", "Arn":
                return f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}"
            case "AWS::Events::EventBus", "Arn":
                return f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{self._values[name]}"
            case "AWS::Logs::LogGroup", "Arn":
                return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}:*"
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


def parsed(text: str) -> dict[str, Any]:
    """A template's text as the translator reads it, by libyaml where PyYAML has it: six times as fast as in Python."""
    # Imported here, as the translator is: only starting needs them.
    import yaml
    from samtranslator.yaml_helper import intrinsics_multi_constructor

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """Knows the intrinsic functions by their short names."""

    Loader.add_multi_constructor("!", intrinsics_multi_constructor)
    found: dict[str, Any] = yaml.load(text, Loader)  # noqa: S506
    return found


def _kept(source: Mapping[str, Any]) -> dict[str, Any]:
    """The same as `translated`, from a file if that is of the same template, translator and program. Every process of
    the laptop edition and of the tests reads the same template, and the translator takes a second of a processor.
    """
    import samtranslator

    program = Path(__file__).read_text()
    of = sha256(json.dumps([samtranslator.__version__, program, source], default=str).encode()).hexdigest()
    try:
        kept = json.loads(KEPT.read_text())
        if kept["of"] == of:
            resources: dict[str, Any] = kept["resources"]
            return resources
    except (OSError, ValueError):
        pass
    text = json.dumps({"of": of, "resources": translated(source)})
    KEPT.parent.mkdir(exist_ok=True)
    # Other processes read a whole file, this one or the one before.
    new = KEPT.with_suffix(f".{os.getpid()}")
    new.write_text(text)
    new.replace(KEPT)
    again: dict[str, Any] = json.loads(text)["resources"]
    return again


def translated(source: Mapping[str, Any]) -> dict[str, Any]:
    """The resources that AWS's translator makes of a template. It wants addresses of uploaded code: code that is not
    uploaded gets one that leads nowhere.
    """
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    from samtranslator.translator.transform import transform

    template = deepcopy(dict(source))
    places = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}
    for resource in template["Resources"].values():
        if place := places.get(resource["Type"]):
            properties = resource["Properties"]
            if not properties.get(place, "").startswith("s3://"):
                properties[place] = "s3://local/code"
    resources: dict[str, Any] = transform(template, {}, _NoManagedPolicies())["Resources"]
    return resources


def function_arn(name: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def _is_fifo(properties: Mapping[str, Any]) -> bool:
    return bool(properties.get("FifoQueue", False))


def _queue_name(name: str, properties: Mapping[str, Any]) -> str:
    """The name of the queue with this logical id; in AWS, too, the name says whether it is a FIFO queue."""
    return f"{name}.fifo" if _is_fifo(properties) else name


def _unless_infinite(figure: int) -> int | None:
    return None if figure == -1 else figure


def _on_failure(properties: Mapping[str, Any]) -> str | None:
    """The ARN of the queue that receives failed events."""
    destination: str | None = properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    return destination


def lambda_environment(function: Function, dynamodb: str, eventbridge: str, access_key_id: str) -> dict[str, str]:
    """A function's environment as in Lambda, with the endpoints of the table and the event bus on this machine, which
    accept requests signed with the access key id. The bus's endpoint also serves SQS, Lambda and KMS. Layers are not
    under /opt here, and a webhook may be a server on this machine.
    """
    return {
        **{name: value for name, value in function.environment.items() if not value.startswith("/opt/")},
        "AWS_ACCESS_KEY_ID": access_key_id,
        "AWS_SECRET_ACCESS_KEY": "unused",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb,
        "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": dynamodb,
        "AWS_ENDPOINT_URL_EVENTBRIDGE": eventbridge,
        "AWS_ENDPOINT_URL_KMS": eventbridge,
        "AWS_ENDPOINT_URL_LAMBDA": eventbridge,
        "AWS_ENDPOINT_URL_SQS": eventbridge,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "WEBHOOK_LOOPBACK": "allowed",
    }


class _NoManagedPolicies:
    """Stands for the account's managed policies; the translator asks for them, but this template uses none."""

    def load(self) -> dict[str, str]:
        return {}


def create_table(client: Any, properties: Mapping[str, Any]) -> None:
    """Creates the template's table with a DynamoDB client, unless it exists. Properties that DynamoDB Local does not
    know (point-in-time recovery, deletion protection) are left out.
    """
    try:
        client.describe_table(TableName=properties["TableName"])
        return
    except client.exceptions.ResourceNotFoundException:
        pass
    wanted = {name: properties[name] for name in ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema")}
    if "StreamSpecification" in properties:
        wanted["StreamSpecification"] = {"StreamEnabled": True, **properties["StreamSpecification"]}
    client.create_table(**wanted)
    client.get_waiter("table_exists").wait(TableName=properties["TableName"], WaiterConfig={"Delay": 1})
    client.update_time_to_live(
        TableName=properties["TableName"], TimeToLiveSpecification=properties["TimeToLiveSpecification"]
    )
