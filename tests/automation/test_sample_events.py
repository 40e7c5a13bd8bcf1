"""Every sample event runs through its handler, with the documented effect."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from atrium import keys
from atrium.store.engine.wire import plain_item
from local.functions import FunctionFailed, call
from local.template import Template
from tests.support.changes import require_published_form
from tests.support.client import World, v1_id
from tests.support.rows import meta_of, rows_here
from tests.support.samples import EVENTS, made_for_samples, prepared, status_of

SAMPLES = sorted(str(path.relative_to(EVENTS)) for path in EVENTS.rglob("*.json"))


@pytest.fixture(scope="module")
def unchanged(shared: World) -> Mapping[str, str]:
    """The things that the samples which only read are about."""
    return made_for_samples(shared)


@pytest.mark.parametrize("sample", [name for name in SAMPLES if "/" in name and "automation" not in name])
def test_a_routes_sample_succeeds_and_replays(
    shared: World, unchanged: Mapping[str, str], template: Template, sample: str
) -> None:
    only_reads = sample.partition("/")[2].startswith(("get_", "list_", "find_", "search_"))
    event = prepared(unchanged if only_reads else made_for_samples(shared), sample)
    handler = sample.removesuffix(".json").replace("/", ".") + ".handler"
    (function,) = (function for function in template.functions.values() if function.handler == handler)
    answer = call(function, event)
    assert answer["statusCode"] == status_of(sample), answer
    assert answer["multiValueHeaders"]["X-Request-Id"] == [event["requestContext"]["requestId"]]
    if event["httpMethod"] != "GET" and not event["path"].endswith("/team/find"):
        again = call(function, event)
        # A secret is in the first answer alone.
        body = re.sub('"secret":"atr_[^"]*"', '"secret":null', answer["body"])
        assert (again["statusCode"], again["body"]) == (answer["statusCode"], body)
        assert again["multiValueHeaders"]["Idempotent-Replayed"] == ["true"]


@pytest.mark.parametrize("sample", ["get_docs.json", "get_openapi.json"])
def test_a_public_sample_is_answered_without_a_table(template: Template, sample: str) -> None:
    (function,) = (each for each in template.functions.values() if each.handler == sample.replace("json", "handler"))
    event = json.loads((EVENTS / sample).read_text())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in function.environment.items():
            patch.setenv(name, value)
        answer = call(function, event)
    assert answer["statusCode"] == 200
    assert answer["multiValueHeaders"]["X-Request-Id"] == [event["requestContext"]["requestId"]]


def run(template: Template, name: str) -> Any:
    """The result of an automation function on its sample."""
    (function,) = (one for one in template.functions.values() if one.handler == f"automation.{name}.handler")
    return call(function, json.loads((EVENTS / f"automation/{name}.json").read_text()))


def test_a_request_let_in_by_an_authorizer_without_the_credentials_id_is_answered(
    world: World, template: Template
) -> None:
    """API Gateway keeps an authorizer's answer for a while, also across a release."""
    event = json.loads((EVENTS / "v1/get_me.json").read_text())
    del event["requestContext"]["authorizer"]["credential_id"]
    assert call(template.functions["V1GetMe"], event)["statusCode"] == 200


def test_the_streams_sample_is_published(world: World, template: Template) -> None:
    (record,) = json.loads((EVENTS / "automation/publish_events.json").read_text())["Records"]
    image = plain_item(record["dynamodb"]["NewImage"])
    assert run(template, "publish_events") == {"batchItemFailures": []}
    assert world.bus.details == [], "the ledger keeps no event of that time"
    made = meta_of(world, world.new_project())
    rows = rows_here()
    (event,) = image["last_events"]
    rows.copy(keys.event(made["tenant"], made["last_events"][0]), keys.event(image["tenant"], event))
    assert run(template, "publish_events") == {"batchItemFailures": []}
    (detail,) = world.bus.details
    require_published_form(detail)
    assert detail["id"] == v1_id(event)


def test_samples_without_work_to_do_change_nothing(world: World, template: Template) -> None:
    assert run(template, "purge_deleted") == {"batchItemFailures": []}
    assert run(template, "sweep_deleted") == {"found": 0, "purged": 0}
    assert run(template, "add_viewer") == {"added": False}
    assert run(template, "fan_out_events") == {"batchItemFailures": []}
    assert run(template, "deliver_events") == {"batchItemFailures": []}
    assert run(template, "sweep_deliveries") == {"due": 0}
    nothing = {"sent": 0, "failed": 0, "left": 0, "complete": True, "details": []}
    assert run(template, "redrive") == nothing
    summary = run(template, "fsck")
    assert (summary["clean"], summary["damage"]) == (True, {})


def test_the_project_request_sample_makes_a_project_once(world: World, template: Template) -> None:
    for _ in range(2):
        assert run(template, "create_project_from_event") == {"batchItemFailures": []}
    assert len(world("GET", world.projects()).body["data"]) == 1


def test_the_provisioning_sample_makes_a_tenant(shared: World, template: Template) -> None:
    event = json.loads((EVENTS / "automation/provision.json").read_text())
    made = call(template.functions["Provision"], event)
    assert [principal["email"] for principal in made["principals"]] == ["ada@initech.example"]


def test_the_samples_of_credentials_issue_rotate_revoke_and_list_the_viewers(world: World, template: Template) -> None:
    before = run(template, "list_credentials")["credentials"]
    assert [found["kind"] for found in before].count("identity") == 1
    issued, rotated = run(template, "issue_credential"), run(template, "rotate_credential")
    for made in (issued, rotated):
        assert world.raw("GET", "/v1/me", [("X-API-Key", made["secret"])]).body["id"] == world.id("viewer")
    revoked = run(template, "revoke_credential")
    after = {found["credential_id"]: found for found in run(template, "list_credentials")["credentials"]}
    assert len(after) == len(before) + 1
    assert after[issued["credential_id"]]["expires_at"] == "2036-01-01T00:00:00.000Z"
    assert after[rotated["credential_id"]]["previous"]["expires_at"] == rotated["previous_expires_at"]
    assert after[revoked["credential_id"]]["revoked_at"] == revoked["revoked_at"]


def test_the_authorizers_sample_is_an_unknown_credential(shared: World, template: Template) -> None:
    event = json.loads((EVENTS / "authorizer.json").read_text())
    with pytest.raises(FunctionFailed, match="Unauthorized"):
        call(template.functions["Authorizer"], event)
    token = shared.principal("owner")["token"]
    event["headers"]["Authorization"] = f"Bearer {token}"
    event["multiValueHeaders"]["Authorization"] = [f"Bearer {token}"]
    assert call(template.functions["Authorizer"], event)["principalId"] == shared.id("owner")


def test_every_function_has_its_sample_and_every_sample_its_function(template: Template) -> None:
    functions = {
        function.handler.removesuffix(".handler").replace(".", "/") for function in template.functions.values()
    }
    assert {str(Path(name).with_suffix("")) for name in SAMPLES} == functions
