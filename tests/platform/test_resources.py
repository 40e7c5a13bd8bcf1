"""The number of resources in a stack, today and with made-up routes."""

import json
from collections import Counter
from copy import deepcopy
from typing import Any

import pytest

from local.template import ROOT, Template, parsed, translated
from tests.support.routes import routes
from tools.versioned import versioned

# CloudFormation's quotas of a stack.
MAX_OUTPUTS = 200
MAX_PARAMETERS = 200
MAX_TEMPLATE_BYTES = 1_000_000

# Atrium's own, below CloudFormation's 500 resources: a route is a function and a permission to call it.
PLAIN_BESIDE_ROUTES = 86
PLAIN_OF_A_ROUTE = 2
OF_ONE_STACK_WITH_VERSIONS = 480


def source() -> dict[str, Any]:
    found: dict[str, Any] = parsed((ROOT / "template.yaml").read_text())
    return found


def with_routes(count: int) -> dict[str, Any]:
    """The template with `count` routes; made-up ones fill the gap, in the form of the others."""
    found = source()
    lacking = count - len(routes_of(found))
    for number in range(lacking):
        made = deepcopy(found["Resources"]["V1GetProject"])
        made["Properties"]["Handler"] = f"v1.made_up_{number}.handler"
        made["Properties"]["Events"]["Route"]["Properties"]["Path"] = f"/v1/spaces/{{space_id}}/made-up-{number}"
        found["Resources"][f"V1MadeUp{number}"] = made
    assert len(routes_of(found)) == count
    return found


def routes_of(template: dict[str, Any]) -> set[str]:
    """The functions with a URL."""
    return {
        name
        for name, item in template["Resources"].items()
        if any(event["Type"] == "Api" for event in item["Properties"].get("Events", {}).values())
    }


@pytest.fixture(scope="module")
def grown() -> dict[str, Any]:
    return with_routes(150)


def test_the_plain_form_is_one_stack_with_room_for_150_routes(template: Template, grown: dict[str, Any]) -> None:
    assert routes_of(source()) == {*routes(template), *routes(template, public=True)}
    resources = translated(grown)
    for form, count in ((template.resources, len(routes_of(source()))), (resources, 150)):
        most = PLAIN_BESIDE_ROUTES + PLAIN_OF_A_ROUTE * count
        assert len(form) <= most, Counter(item["Type"] for item in form.values())
    assert len(json.dumps(resources)) < MAX_TEMPLATE_BYTES
    assert len(grown["Outputs"]) <= MAX_OUTPUTS
    assert all(len(name) <= 64 for name in resources)


def test_the_form_with_versions_has_room_for_150_routes_in_each_of_its_stacks(grown: dict[str, Any]) -> None:
    """All made-up routes are in one folder, like those of the next versions."""
    counted = {}
    for name, template in versioned(grown, "one").items():
        resources = translated(template)
        counted[name] = len(resources)
        assert len(json.dumps(template, indent=1)) < MAX_TEMPLATE_BYTES, name
        assert len(json.dumps(resources)) < MAX_TEMPLATE_BYTES, name
        assert len(template["Parameters"]) <= MAX_PARAMETERS, name
    assert max(counted.values()) <= OF_ONE_STACK_WITH_VERSIONS, counted
