"""Every sample event runs through its handler and does what its route is there for."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.functions import FunctionFailed, call
from local.template import ROOT, Template
from tests.client import World, flat_id, v1_id

EVENTS = ROOT / "events"
SAMPLES = sorted(str(path.relative_to(EVENTS)) for path in EVENTS.rglob("*.json"))

# The project that the samples are about; events about it run on one that is made first.
SAMPLE_PROJECT = "64a1f2c3b4e5d6f7a8b9c0d1"

STATUSES = {
    "projects/create_project.json": 201,
    "v1/create_project.json": 201,
    "v1/add_member.json": 201,
    "v1/delete_project.json": 204,
    "v1/remove_member.json": 204,
}


def load(sample: str, project: str) -> Any:
    text = (EVENTS / sample).read_text()
    return json.loads(text.replace(SAMPLE_PROJECT, project).replace(v1_id(SAMPLE_PROJECT), v1_id(project)))


@pytest.mark.parametrize("sample", [name for name in SAMPLES if "/" in name and "automation" not in name])
def test_a_routes_sample_succeeds_and_replays(world: World, template: Template, sample: str) -> None:
    path = world.new_project("Customer Churn Model")
    world.new_member(path, "viewer", "viewer")
    event = load(sample, flat_id(path.rpartition("/")[2]))
    handler = sample.removesuffix(".json").replace("/", ".") + ".handler"
    (function,) = (function for function in template.functions.values() if function.handler == handler)
    answer = call(function, event)
    assert answer["statusCode"] == STATUSES.get(sample, 200), answer
    assert answer["multiValueHeaders"]["X-Request-Id"] == [event["requestContext"]["requestId"]]
    if event["httpMethod"] != "GET":
        again = call(function, event)
        assert (again["statusCode"], again["body"]) == (answer["statusCode"], answer["body"])
        assert again["multiValueHeaders"]["Idempotent-Replayed"] == ["true"]


def test_the_provisioning_sample_makes_a_tenant(world: World, template: Template) -> None:
    event = json.loads((EVENTS / "automation/provision.json").read_text())
    made = call(template.functions["Provision"], event)
    assert [principal["email"] for principal in made["principals"]] == ["ada@initech.example"]


def test_the_authorizers_sample_is_a_credential_that_is_nobodys(world: World, template: Template) -> None:
    event = json.loads((EVENTS / "authorizer.json").read_text())
    with pytest.raises(FunctionFailed, match="Unauthorized"):
        call(template.functions["Authorizer"], event)
    token = world.principal("owner")["token"]
    event["headers"]["Authorization"] = f"Bearer {token}"
    event["multiValueHeaders"]["Authorization"] = [f"Bearer {token}"]
    assert call(template.functions["Authorizer"], event)["principalId"] == world.id("owner")


def test_every_function_has_its_sample_and_every_sample_its_function(template: Template) -> None:
    functions = {
        function.handler.removesuffix(".handler").replace(".", "/") for function in template.functions.values()
    }
    assert {str(Path(name).with_suffix("")) for name in SAMPLES} == functions
