"""The output of `make build`, which is deployed, and of `make build-here`, the same for this machine."""

import json
import os
import platform
import re
import shutil
import ssl
import struct
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.session import get_session

from atrium.store.engine.table import _METHODS
from layers.build import GATHERED, ROOTS, SERVICES
from local.template import ROOT, Template, lambda_environment
from tests.support.clock import NET

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
DEPLOYED = ROOT / ".aws-sam/build"
HERE = ROOT / ".aws-sam" / f"{VERSION}-{platform.machine().replace('aarch64', 'arm64')}"
LAYERS = ("AtriumLayer", "JwtLayer")

# Importing one of these takes longer than the whole cold start of a route, and no route needs it.
BANNED = {
    *("asyncio", "aws_lambda_powertools.tracing", "aws_lambda_powertools.metrics"),
    *("boto3", "s3transfer", "multiprocessing", "jwt", "cryptography", "aws_xray_sdk", "unittest", "pydantic.v1"),
    *("aws_lambda_powertools.utilities.parser", "aws_lambda_powertools.utilities.idempotency"),
}


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    """Fails if the build is older than the last change: its tests would prove nothing."""
    sources = [ROOT / "template.yaml", *(ROOT / "functions").rglob("*.py"), *(ROOT / "layers").rglob("*.*")]
    changed = max(path.stat().st_mtime for path in sources if "__pycache__" not in path.parts)
    for folder in (DEPLOYED, HERE):
        made = folder / "template.yaml"
        if not made.exists() or made.stat().st_mtime < changed:
            pytest.fail("Not built since the last change: make build build-here")


def layer(folder: Path, name: str) -> Path:
    return folder / name / "python"


# ---------------------------------------------------------------- the deployed files


def test_the_wheels_are_those_of_the_functions_runtime(template: Template) -> None:
    """They are for Lambda's Python on arm64, on any building machine."""
    kinds = ("AWS::Lambda::Function", "AWS::Lambda::LayerVersion")
    named = [item["Properties"] for item in template.resources.values() if item["Type"] in kinds]
    (runtime,) = {runtime for about in named for runtime in about.get("CompatibleRuntimes") or [about["Runtime"]]}
    tag = runtime.removeprefix("python").replace(".", "")
    machines = {}
    for name in LAYERS:
        for path in layer(DEPLOYED, name).rglob("*.so"):
            with path.open("rb") as file:
                machines[path.name] = struct.unpack("<H", file.read(20)[18:])[0]
            assert re.search(rf"\.cpython-{tag}-aarch64-|\.abi3\.so$", path.name), path.name
    # ELF, e_machine: EM_AARCH64.
    assert set(machines.values()) == {183}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_small(name: str, tmp_path: Path) -> None:
    """In megabytes, unpacked and zipped. The build for this machine is measured, since it always has bytecode; without
    bytecode a layer is smaller."""
    files = [path for path in (HERE / name).rglob("*") if path.is_file()]
    with zipfile.ZipFile(tmp_path / "layer.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.relative_to(HERE / name))
    assert sum(path.stat().st_size for path in files) <= 30e6
    assert (tmp_path / "layer.zip").stat().st_size <= 10e6


@pytest.mark.parametrize("name", LAYERS)
def test_bytecode_is_complete_and_loaded_without_checking_its_source(name: str) -> None:
    """PEP 552: the second word of a file marks it as hash-based and unchecked. A machine without Lambda's Python cannot
    compile for Lambda, and leaves no bytecode."""
    for folder, tag in ((HERE, sys.implementation.cache_tag), (DEPLOYED, "cpython-313")):
        compiled = {path: path.read_bytes()[4:8] for path in layer(folder, name).rglob("*.pyc")}
        if folder == DEPLOYED and not compiled:
            continue
        assert set(compiled.values()) == {b"\x01\0\0\0"}
        sources = set(layer(folder, name).rglob("*.py"))
        assert {path.parent.parent / f"{path.name.split('.')[0]}.py" for path in compiled} == sources
        assert {path.suffixes[-2] for path in compiled} == {f".{tag}"}


def test_the_layers_hold_no_records_of_wheels_no_stubs_and_no_tests() -> None:
    for folder in (DEPLOYED, HERE):
        for name in LAYERS:
            names = {path.name for path in layer(folder, name).rglob("*")}
            assert not [name for name in names if re.search(r"\.dist-info$|\.pyi$|^tests?$|^conftest\.py$", name)]
            assert not names & {"build.py", "requirements.in", "requirements.txt", "bin"}


def test_the_layer_holds_the_tested_version_of_the_sdk() -> None:
    for package in ("boto3", "botocore"):
        (tested,) = re.findall(rf"^{package}==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
        assert f"__version__ = '{tested}'" in (layer(DEPLOYED, "AtriumLayer") / package / "__init__.py").read_text()


# ---------------------------------------------------------------- imports of the functions


def imported(template: Template, names: list[str]) -> dict[str, Any]:
    """The modules of a process that started these functions as Lambda does, with the build alone on its path."""
    modules = sorted({template.functions[name].handler.removesuffix(".handler") for name in names})
    code = """
import gc, importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
loaded = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
print(json.dumps({"modules": loaded, "collects": gc.isenabled(), "frozen": gc.get_freeze_count()}))
"""
    environment = lambda_environment(template.functions[names[0]], "http://127.0.0.1:9", "http://127.0.0.1:9", "unused")
    path = [HERE / names[0], *(layer(HERE, name) for name in LAYERS)]
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, path)), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-S", "-c", code, *modules]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=NET)
    assert ran.returncode == 0, ran.stderr[-2000:]
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


@pytest.fixture(scope="module")
def loaded(template: Template) -> Mapping[str, dict[str, Any]]:
    """The modules of each kind of function. One process starts all functions of a kind, and has the modules of each."""
    routes = [name for name, function in template.functions.items() if "automation." not in function.handler]
    routes.remove("Authorizer")
    automation = sorted(template.functions.keys() - {*routes, "Authorizer"})
    return {
        "routes": imported(template, routes),
        "authorizer": imported(template, ["Authorizer"]),
        "automation": imported(template, automation),
    }


def test_every_function_starts_from_the_build_and_collects_garbage_after_its_imports(
    loaded: Mapping[str, dict[str, Any]],
) -> None:
    for process in loaded.values():
        assert process["collects"]
        assert process["frozen"] > 10_000
        ours = [where for name, where in process["modules"].items() if name.split(".")[0] == "atrium" and where]
        assert {where.startswith(str(HERE)) for where in ours} == {True}


def test_no_route_imports_a_banned_module(loaded: Mapping[str, dict[str, Any]]) -> None:
    assert not BANNED & loaded["routes"]["modules"].keys()


def test_the_authorizer_starts_without_models_a_router_and_the_check_of_tokens(
    loaded: Mapping[str, dict[str, Any]],
) -> None:
    assert not (BANNED | {"pydantic", "aws_lambda_powertools.event_handler"}) & loaded["authorizer"]["modules"].keys()


def test_the_layer_holds_only_imported_modules(loaded: Mapping[str, dict[str, Any]]) -> None:
    tops = {name.split(".")[0] for process in loaded.values() for name in process["modules"]}
    held = {path.name.split(".")[0] for path in layer(HERE, "AtriumLayer").iterdir()} - {"__pycache__", "amazon-roots"}
    assert held - tops == set()
    checks = {path.name.split(".")[0] for path in layer(HERE, "JwtLayer").iterdir()}
    assert checks == {"jwt", "cryptography", "_cffi_backend"}


def test_the_build_can_check_an_access_token(template: Template) -> None:
    code = """
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
key = rsa.generate_private_key(65537, 2048)
token = jwt.encode({"sub": "x"}, key, "RS256")
print(jwt.decode(token, jwt.PyJWK.from_dict(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) |
    {"alg": "RS256"}).key, ["RS256"])["sub"])
"""
    path = os.pathsep.join(str(layer(HERE, name)) for name in LAYERS)
    command = [sys.executable, "-S", "-c", code]
    ran = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True, timeout=NET)
    assert (ran.stdout, ran.stderr) == ("x\n", "")


def test_lazily_loading_packages_have_the_names_of_the_installed_ones() -> None:
    """Each name has the same origin as in the installed package, in any order of access."""
    code = """
import importlib, json, random, sys
package = importlib.import_module(sys.argv[1])
names = sorted(package.__all__)
random.Random(sys.argv[2]).shuffle(names)
found = {name: getattr(package, name) for name in names}
print(json.dumps({name: f"{one.__module__}.{one.__qualname__}" for name, one in sorted(found.items())}))
"""
    for package in (path.replace("/", ".") for path in GATHERED):
        said = set()
        for path, seed in ((layer(HERE, "AtriumLayer"), "1"), (layer(HERE, "AtriumLayer"), "2"), (None, "1")):
            environment = {"PYTHONPATH": str(path)} if path else {}
            command = [sys.executable, *(["-S"] if path else []), "-c", code, package, seed]
            ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=NET)
            assert ran.returncode == 0, ran.stderr[-2000:]
            said.add(ran.stdout)
        assert len(said) == 1, said


# ---------------------------------------------------------------- data of the SDK


def described(loader: Loader, service: str) -> Any:
    session = get_session()
    session.register_component("data_loader", loader)
    return session.get_service_model(service)


def test_the_sdks_data_is_cut_to_the_used_calls_and_otherwise_unchanged() -> None:
    """Each kept call equals the installed SDK's, in all its shapes."""
    data = layer(DEPLOYED, "AtriumLayer") / "botocore" / "data"
    cut = Loader(extra_search_paths=[str(data)], include_default_search_paths=False)
    assert sorted(path.name for path in data.iterdir() if path.is_dir()) == sorted(SERVICES)
    for service, operations in SERVICES.items():
        ours, whole = described(cut, service), described(Loader(), service)
        assert set(ours.operation_names) == operations
        assert ours.metadata == whole.metadata
        for name in operations:
            for side in ("input_shape", "output_shape"):
                assert shape(getattr(ours.operation_model(name), side)) == shape(
                    getattr(whole.operation_model(name), side)
                )
            errors = [error.name for error in ours.operation_model(name).error_shapes]
            assert errors == [error.name for error in whole.operation_model(name).error_shapes]
        assert cut.load_service_model(service, "endpoint-rule-set-1") == Loader().load_service_model(
            service, "endpoint-rule-set-1"
        )


def shape(found: Any, above: tuple[str, ...] = ()) -> Any:
    """A shape with all shapes below it, without documentation."""
    if found is None or found.name in above:
        return found and found.name
    above = (*above, found.name)
    parts: Any = None
    if found.type_name == "structure":
        parts = {name: shape(member, above) for name, member in found.members.items()}
    elif found.type_name == "list":
        parts = shape(found.member, above)
    elif found.type_name == "map":
        parts = shape(found.key, above), shape(found.value, above)
    return found.name, found.type_name, found.metadata, found.serialization, parts


def test_the_kept_calls_of_the_sdk_are_those_of_the_store() -> None:
    assert {*_METHODS, "DescribeEndpoints"} == SERVICES["dynamodb"]


def test_the_roots_are_amazons_and_readable() -> None:
    roots = layer(DEPLOYED, "AtriumLayer") / "amazon-roots.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(roots)
    found: Any = context.get_ca_certs()
    names = [dict(part[0] for part in root["subject"])["commonName"] for root in found]
    assert sorted(names) == sorted(ROOTS)
    # They expire in 2037 and 2038.
    assert all(ssl.cert_time_to_seconds(root["notAfter"]) > 2e9 for root in found)


def test_the_layer_holds_both_root_files_of_the_template() -> None:
    for trusted in ("amazon", "all"):
        function = Template(TrustedRoots=trusted).functions["GetProject"]
        bundle = Path(function.environment["AWS_CA_BUNDLE"])
        assert (layer(DEPLOYED, "AtriumLayer") / bundle.relative_to("/opt/python")).is_file()


# ---------------------------------------------------------------- the build itself


def build(tmp_path: Path, wanted: str, name: str | None, script: str) -> tuple[str, Path]:
    """A build of the smaller layer on a machine whose only other Python is this script."""
    programs = tmp_path / "bin"
    programs.mkdir()
    if name:
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYENV_", "UV_", "LAMBDA_"))},
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LAMBDA_PYTHON": wanted,
    }
    source = tmp_path / "layers"
    shutil.copytree(ROOT / "layers", source, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "build.py", "Jwt", str(tmp_path / "made")]
    ran = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, timeout=NET)
    return ran.stdout + ran.stderr, tmp_path / "made/python"


def test_a_python_unable_to_run_compiles_nothing_and_is_reported(tmp_path: Path) -> None:
    said, made = build(tmp_path, "3.13", "python3.13", "echo pyenv: python3.13: command not found >&2; exit 127")
    assert "jwt layer for Python 3.13 on arm64, WITHOUT bytecode: no Python 3.13 runs here." in said
    assert "LAMBDA_PYTHON=/path/to/python3.13 sam build" in said
    assert (made / "jwt").is_dir()
    assert not list(made.rglob("*.pyc"))


def test_a_named_interpreter_compiles_for_its_own_version(tmp_path: Path) -> None:
    said, made = build(tmp_path, sys.executable, None, "")
    assert f"jwt layer for Python {VERSION} on arm64, with bytecode by {sys.executable}" in said
    assert list(made.rglob("*.pyc"))


def test_a_named_interpreter_unable_to_run_fails_the_build(tmp_path: Path) -> None:
    said, made = build(tmp_path, "/no/python", None, "")
    assert said == "LAMBDA_PYTHON=/no/python is neither a version nor a Python that runs.\n"
    assert not made.exists()
