"""An AWS on this machine (ministack) with one stack of Atrium, and what a template has to be without for it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from samtranslator.yaml_helper import yaml_parse

from local.demo import demo
from local.template import ACCOUNT, REGION, ROOT, Template, translated
from tests.support.client import World, over_http
from tests.support.clock import NET

STACK = "AWS::CloudFormation::Stack"


@dataclass(frozen=True)
class Cloud:
    """An AWS of one's own, with one stack; `directory` is all that it writes to."""

    port: int
    directory: Path

    @cached_property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "TMPDIR": str(self.directory),
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "-",
            "AWS_DEFAULT_REGION": REGION,
        }

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str) -> Any:
        session: Any = boto3.Session(ACCOUNT, "-", region_name=REGION)
        config = Config(read_timeout=NET, retries={"total_max_attempts": 1})
        return session.client(service, endpoint_url=self.endpoint, config=config)

    def sam(self, *arguments: str) -> None:
        environment = {**self.environment, "AWS_ENDPOINT_URL": self.endpoint, "SAM_CLI_TELEMETRY": "0"}
        command = [str(Path(sys.executable).with_name("sam")), *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=NET, check=False
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"

    @cached_property
    def lambdas(self) -> Any:
        return self.client("lambda")

    @cached_property
    def outputs(self) -> dict[str, str]:
        (stack,) = self.client("cloudformation").describe_stacks(StackName="atrium")["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    @cached_property
    def resources(self) -> dict[str, Any]:
        """By logical id, those of nested stacks among them."""
        found: dict[str, Any] = {}
        stacks = ["atrium"]
        for stack in stacks:
            pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
            listed = {each["LogicalResourceId"]: each for page in pages for each in page["StackResourceSummaries"]}
            stacks += [each["PhysicalResourceId"] for each in listed.values() if each["ResourceType"] == STACK]
            found |= listed
        return found

    def invoke(self, name: str, event: Mapping[str, Any]) -> Any:
        """The result of a function, by its name in the stack."""
        answer = self.lambdas.invoke(FunctionName=name, Payload=json.dumps(event))
        result = json.load(answer["Payload"])
        assert "FunctionError" not in answer, result
        return result

    @property
    def api(self) -> str:
        """The host name of the API's address."""
        return self.outputs["ApiUrl"].split("/")[2]

    def world(self, directory: Path, provision: Any = None) -> World:
        """The demo tenants behind the API, made by the deployed function."""
        made = demo(directory, provision or (lambda event: self.invoke(self.outputs["ProvisionFunction"], event)))
        stage = self.outputs["ApiUrl"].rpartition("/")[2]
        # The emulator tells APIs apart by the host's name, too, in a domain of its own.
        host = f"{self.api.partition('.')[0]}.execute-api.127.0.0.1:{self.port}"
        return World(over_http(f"{self.endpoint}/{stage}", Host=host), made)


def with_what_is_there(source: Mapping[str, Any]) -> dict[str, Any]:
    """A template without what this AWS does not have: X-Ray's rules, CodeDeploy and the keys of events."""
    resources = {name: item for name, item in source["Resources"].items() if not item["Type"].startswith("AWS::XRay::")}
    assert source["Resources"].keys() - resources.keys() <= {"TraceSampling"}
    for resource in resources.values():
        resource["Properties"].pop("DeploymentPreference", None)
    if "PublishEventsRole" in resources:
        # It knows no condition keys of events, so that a statement which asks for them would allow nothing.
        (policy,) = resources["PublishEventsRole"]["Properties"]["Policies"]
        policy["PolicyDocument"]["Statement"][0]["Condition"].pop("Null", None)
    return {**source, "Resources": resources}


def packaged(cloud: Cloud, template: Path) -> Path:
    """The template as `sam package` uploads what it names. This AWS does not transform nested templates, so each is
    put back as AWS's translator makes it; and it has S3 at an address that `sam deploy` does not know for one of S3's.
    """
    path = template.with_name("packaged.yaml")
    cloud.sam("package", "--template-file", str(template), "--output-template-file", str(path), "--resolve-s3")
    parent, store = yaml_parse(path.read_text()), cloud.client("s3")
    for resource in parent["Resources"].values():
        if resource["Type"] == STACK:
            place = urlsplit(resource["Properties"]["TemplateURL"]).path
            _, bucket, key = place.split("/", 2)
            nested = yaml_parse(store.get_object(Bucket=bucket, Key=key)["Body"].read().decode())
            made = {name: nested[name] for name in ("Parameters", "Conditions")} | {"Resources": translated(nested)}
            store.put_object(Bucket=bucket, Key=key, Body=json.dumps(made).encode())
            resource["Properties"]["TemplateURL"] = f"https://s3.{REGION}.amazonaws.com{place}"
    path.write_text(json.dumps(parent))
    return path


def add_gateway_responses(cloud: Cloud, template: Template) -> None:
    """The document that is imported has them, and AWS takes them from there; ministack only from calls."""
    gateway = cloud.client("apigateway")
    api = cloud.api.partition(".")[0]
    for kind, response in template.api["x-amazon-apigateway-gateway-responses"].items():
        settings = {name: response[name] for name in ("responseParameters", "responseTemplates")}
        if "statusCode" in response:
            settings["statusCode"] = str(response["statusCode"])
        gateway.put_gateway_response(restApiId=api, responseType=kind, **settings)
    gateway.create_deployment(restApiId=api, stageName=template.stage)
