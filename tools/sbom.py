"""Writes a bill of materials (CycloneDX) for each of the built layers, beside the build.

make sbom
"""

import json
import re
import sys
import tomllib
from base64 import urlsafe_b64encode
from hashlib import sha256
from importlib.metadata import Distribution, distribution
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType, Pedigree
from cyclonedx.model.license import DisjunctiveLicense, License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

from layers.build import ARCHITECTURE, VERSION
from local.template import ROOT

BUILD = ROOT / ".aws-sam" / "build"
LAYERS = ("AtriumLayer", "JwtLayer")

# Values of the variables in requirements' markers.
RUNTIME = {"python_version": VERSION, "platform_python_implementation": "CPython", "implementation_name": "cpython"}


def main() -> None:
    folder = ROOT / ".aws-sam" / "sbom"
    folder.mkdir(exist_ok=True)
    for layer in LAYERS:
        if not (BUILD / layer / "wheels.json").is_file():
            sys.exit("Nothing is built yet: make build")
        path = folder / f"{layer}.cdx.json"
        path.write_text(JsonV1Dot6(bill(BUILD / layer)).output_as_string(indent=2) + "\n")
        print(path.relative_to(ROOT))


def bill(layer: Path) -> Bom:
    """The bill of a built layer: its wheels, with the number of files that the build changed or left out, and the
    project's own package.
    """
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    mit = LicenseFactory().make_from_string("MIT")
    root = Component(
        name=layer.name,
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref=layer.name,
        licenses=[mit],
        properties=[Property(name="python", value=VERSION), Property(name="architecture", value=ARCHITECTURE)],
    )
    bom = Bom()
    bom.metadata.component = root
    parts = {}
    for wheel in json.loads((layer / "wheels.json").read_text()):
        parts[normal(wheel["name"])] = part(layer / "python", wheel)
    needed = {name: needs(name) & parts.keys() for name in parts}
    wanted = parts.keys() - {other for others in needed.values() for other in others}
    if (layer / "python" / "atrium").is_dir():
        own = Component(
            name="atrium",
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref="atrium",
            purl=PackageURL("generic", name="atrium", version=version),
            licenses=[mit],
        )
        bom.components.add(own)
        bom.register_dependency(root, [own])
        bom.register_dependency(own, [parts[name] for name in wanted])
    else:
        bom.register_dependency(root, [parts[name] for name in wanted])
    for name, component in parts.items():
        bom.components.add(component)
        bom.register_dependency(component, [parts[other] for other in needed[name]])
    return bom


def part(python: Path, wheel: dict[str, str]) -> Component:
    name, version = normal(wheel["name"]), wheel["version"]
    installed = distribution(name)
    if installed.version != version:
        sys.exit(f"{name} is {version} in the layer and {installed.version} in .venv: make build")
    kept, changed, missing = compared(python, installed)
    notes = f"layers/build.py left out {missing} of {kept + changed + missing} files and changed {changed}."
    purl = PackageURL("pypi", name=name, version=version)
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        scope=ComponentScope.REQUIRED if kept or changed else ComponentScope.EXCLUDED,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=wheel["sha256"])],
        licenses=licences(installed),
        pedigree=Pedigree(notes=notes) if changed or missing else None,
    )


def compared(python: Path, installed: Distribution) -> tuple[int, int, int]:
    """Counts the files of a distribution that the layer has unchanged, has changed, and has not. Metadata, programs and
    stubs are not counted.
    """
    kept = changed = missing = 0
    for file in installed.files or []:
        about = file.parts[0].endswith(".dist-info") or ".." in file.parts or "__pycache__" in file.parts
        if about or file.suffix == ".pyi" or file.name == "py.typed":
            continue
        path = python / file
        if file.suffix == ".so":
            # Its name contains the layer's platform, which may differ from this machine's.
            there = any(path.parent.glob(f"{file.name.partition('.')[0]}.*so"))
            kept, missing = kept + there, missing + (not there)
            continue
        if not path.is_file():
            missing += 1
        elif (
            file.hash and urlsafe_b64encode(sha256(path.read_bytes()).digest()).rstrip(b"=").decode() == file.hash.value
        ):
            kept += 1
        else:
            changed += 1
    return kept, changed, missing


def licences(installed: Distribution) -> list[License]:
    """The licences that the distribution declares: an SPDX expression, or its classifiers."""
    about, factory = installed.metadata, LicenseFactory()
    for field in ("License-Expression", "License"):
        if field in about:
            found = factory.make_from_string(about[field])
            if not isinstance(found, DisjunctiveLicense) or found.id:
                return [found]
    kinds = [kind for kind in about.get_all("Classifier") or [] if kind.startswith("License :: ")]
    return [factory.make_with_name(kind.rpartition(" :: ")[2]) for kind in kinds]


def needs(name: str) -> set[str]:
    requirements = map(Requirement, distribution(name).requires or [])
    # The extras that the layers require: pyjwt[crypto].
    extras = ("", "crypto")
    return {
        normal(wanted.name)
        for wanted in requirements
        if wanted.marker is None or any(wanted.marker.evaluate({**RUNTIME, "extra": extra}) for extra in extras)
    }


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
