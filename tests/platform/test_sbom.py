"""The bill of materials names everything in the layers, with the pinned versions."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from local.template import ROOT
from tools.sbom import BUILD, bill

# Each layer's folder, and its components without a pin.
LAYERS = {"AtriumLayer": ("atrium", {"atrium"}), "JwtLayer": ("jwt", set[str]())}


def written(layer: str) -> str:
    return JsonV1Dot6(bill(BUILD / layer)).output_as_string()


def parts(layer: str) -> dict[str, Any]:
    return {part["name"]: part for part in json.loads(written(layer))["components"]}


def pins(folder: str) -> dict[str, str]:
    text = (ROOT / "layers" / folder / "requirements.txt").read_text()
    return dict(re.findall(r"^([\w-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_bill_is_valid_cyclonedx(layer: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written(layer)) is None


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_consists_of_its_pins_and_own_code(layer: str) -> None:
    folder, ours = LAYERS[layer]
    found = parts(layer)
    assert {name: part["version"] for name, part in found.items() if name not in ours} == pins(folder)
    assert found.keys() - pins(folder).keys() == ours
    for name in pins(folder):
        assert found[name]["purl"] == f"pkg:pypi/{name}@{found[name]['version']}"
        ((hash),) = found[name]["hashes"]
        assert hash["alg"] == "SHA-256"
        assert re.fullmatch("[0-9a-f]{64}", hash["content"])
    assert not [name for name, part in found.items() if not part["licenses"]]


@pytest.mark.parametrize("layer", LAYERS)
def test_every_package_in_a_layer_belongs_to_an_included_component(layer: str) -> None:
    """Packages and modules by their import names."""
    names = {
        *("_cffi_backend", "annotated_types", "atrium", "aws_lambda_powertools", "boto3", "botocore", "cryptography"),
        *("dateutil", "jmespath", "jwt", "pydantic", "pydantic_core", "s3transfer", "six", "typing_extensions"),
        *("typing_inspection", "urllib3"),
    }
    called = {"_cffi_backend": "cffi", "dateutil": "python-dateutil", "jwt": "pyjwt"}
    held = {path.name.partition(".")[0] for path in (BUILD / layer / "python").iterdir()} - {
        "amazon-roots",
        "__pycache__",
    }
    assert held <= names
    shipped = {name for name, part in parts(layer).items() if part.get("scope") != "excluded"}
    assert shipped == {called.get(name, name.replace("_", "-")) for name in held}


def test_changes_by_the_build_are_listed() -> None:
    found = parts("AtriumLayer")
    changed = {name for name, part in found.items() if "pedigree" in part}
    assert changed == {"aws-lambda-powertools", "boto3", "botocore", "pydantic"}
    # Two descriptions of the table's service, one of each other service, and the list of endpoints.
    assert found["botocore"]["pedigree"]["notes"].endswith(" and changed 8.")


def test_dependencies_start_at_the_layers_requirements_and_reach_every_component() -> None:
    asked = {
        "AtriumLayer": ("atrium", ["aws-lambda-powertools", "boto3", "pydantic"]),
        "JwtLayer": ("JwtLayer", ["pyjwt"]),
    }
    for layer, (first, wanted) in asked.items():
        said = {each["ref"]: each.get("dependsOn", []) for each in json.loads(written(layer))["dependencies"]}
        assert [re.findall(r"/(.+)@", other)[0] for other in said[first]] == wanted
        reached, left = set[str](), [layer]
        while left:
            reached.add(one := left.pop())
            left += [other for other in said[one] if other not in reached]
        assert reached == said.keys()
        assert len(reached) == len(parts(layer)) + 1


def test_the_wheels_of_a_layer_are_known_without_the_place_they_came_from() -> None:
    for layer in LAYERS:
        text = Path(BUILD / layer / "wheels.json").read_text()
        assert {tuple(wheel) for wheel in json.loads(text)} == {("name", "version", "sha256")}
