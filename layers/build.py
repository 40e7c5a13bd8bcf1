"""Builds a layer: the wheels of its pins for the functions' runtime, without what no function imports, and bytecode.

    python3 build.py Atrium|Jwt FOLDER

The wheels are fetched as they are, so neither that Python nor that processor is needed; for bytecode that Python is.
LAMBDA_PYTHON is another version than the runtime's (3.11), or the interpreter that compiles (a path or a command);
LAMBDA_ARCH is another architecture (x86_64). What is built so runs on another machine than Lambda's: this one.
"""

import ast
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# As template.yaml says.
VERSION, ARCHITECTURE = "3.13", "arm64"

PLATFORMS = {"arm64": "aarch64", "x86_64": "x86_64"}

# What the wheels bring and nothing reads: their own records, stubs, and whole parts that no function imports.
UNUSED = (
    *("*.dist-info", "bin", "**/*.pyi", "**/py.typed", "**/include"),
    *("boto3/data", "boto3/examples", "cffi", "pycparser", "pydantic/v1", "pydantic/mypy.py"),
    *(
        f"aws_lambda_powertools/utilities/{name}"
        for name in ("batch", "data_masking", "feature_flags", "idempotency", "kafka", "parser", "streaming")
    ),
)

# What the SDK is asked for: each service with the operations, all of them where none are named. Every other service's
# description is left out, and every other operation's: reading them is half of making a client.
SERVICES = {
    "dynamodb": {
        *("BatchGetItem", "BatchWriteItem", "GetItem", "Query", "Scan", "TransactGetItems", "TransactWriteItems"),
        "UpdateItem",
        # Nobody calls it: the client asks whether its service has it.
        "DescribeEndpoints",
    },
    "dynamodbstreams": {"GetRecords", "GetShardIterator"},
    "events": {"PutEvents"},
    "kms": {"GenerateMac"},
    "lambda": {"Invoke"},
    "s3": {"PutObject"},
    "sqs": {"ChangeMessageVisibility", "DeleteMessage", "ReceiveMessage", "SendMessage", "SendMessageBatch"},
}
# What making a client reads of a service.
DESCRIPTIONS = {"endpoint-rule-set-1.json.gz", "service-2.json.gz", "service-2.sdk-extras.json"}

# Packages that import all of their parts, to gather what these have under one name. Each part would be imported for the
# one that is wanted: resolvers of six services, the events of fifty, and asyncio.
GATHERED = (
    "aws_lambda_powertools",
    "aws_lambda_powertools/event_handler",
    "aws_lambda_powertools/event_handler/openapi",
    "aws_lambda_powertools/utilities/data_classes",
)

# The roots that every AWS endpoint's certificate goes back to: https://www.amazontrust.com/repository/
ROOTS = (
    *(f"Amazon Root CA {number}" for number in (1, 2, 3, 4)),
    "Starfield Services Root Certificate Authority - G2",
)


def main() -> None:
    layer, folder = sys.argv[1].lower(), Path(sys.argv[2])
    python = folder / "python"
    wanted = os.environ.get("LAMBDA_PYTHON") or VERSION
    version = wanted if re.fullmatch(r"3\.\d+", wanted) else version_of(wanted)
    if version is None:
        sys.exit(f"LAMBDA_PYTHON={wanted} is neither a version nor a Python that runs.")
    architecture = os.environ.get("LAMBDA_ARCH") or ARCHITECTURE
    if architecture not in PLATFORMS:
        sys.exit(f"LAMBDA_ARCH={architecture} is none of {', '.join(PLATFORMS)}.")
    wheels = install(Path(layer) / "requirements.txt", python, version, PLATFORMS[architecture])
    # Beside the packages, in the layer itself: their own records do not go along. `make sbom` reads it.
    (folder / "wheels.json").write_text(json.dumps(wheels, indent=1) + "\n")
    if (own := Path(layer) / layer).is_dir():
        shutil.copytree(own, python / layer, ignore=shutil.ignore_patterns("__pycache__"))
    trim(python)
    for package in GATHERED:
        if (init := python / package / "__init__.py").is_file():
            init.write_text(gathered_when_asked(init.read_text()))
    if (python / "botocore").is_dir():
        cut_descriptions(python / "botocore" / "data")
        (python / "amazon-roots.pem").write_text(amazon_roots((python / "botocore" / "cacert.pem").read_text()))
    compiler = next((found for found in interpreters(wanted, version) if version_of(found) == version), None)
    built = f"{layer} layer for Python {version} on {architecture}"
    if compiler is None:
        print(f"{built}, WITHOUT bytecode: no Python {version} runs here. A cold start takes 2.7 times as long.")
        print(f"Install Python {version}, or name it: LAMBDA_PYTHON=/path/to/python{version} sam build")
    else:
        compile_all(python, compiler)
        print(f"{built}, with bytecode by {compiler}")


# ---------------------------------------------------------------- what is in it


def install(requirements: Path, target: Path, version: str, platform: str) -> list[dict[str, str]]:
    """The wheels of the pins, with which a list of parts begins: each by name, version and what its file hashes to."""
    platforms = [f"--platform={form}_{platform}" for form in ("manylinux2014", "manylinux_2_17", "manylinux_2_28")]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    exact = ["--no-deps", "--only-binary=:all:", "--implementation=cp", f"--python-version={version}", *platforms]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        wanted = [f"--target={target}", f"--report={report}", "--require-hashes", f"--requirement={requirements}"]
        subprocess.run([*pip, *exact, *wanted], check=True)
        installed = json.loads(report.read_text())["install"]
    wheels = [
        {
            "name": wheel["metadata"]["name"],
            "version": wheel["metadata"]["version"],
            "sha256": wheel["download_info"]["archive_info"]["hashes"]["sha256"],
        }
        for wheel in installed
    ]
    return sorted(wheels, key=lambda wheel: wheel["name"].lower())


def trim(python: Path) -> None:
    for pattern in UNUSED:
        for path in list(python.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def gathered_when_asked(text: str) -> str:
    """A package's own module, which imports what its `__all__` names when somebody asks for it (PEP 562); everything
    else in it stays."""
    lines, where = text.splitlines(), dict[str, str]()
    tree = ast.parse(text)
    (exported,) = (
        ast.literal_eval(statement.value)
        for statement in tree.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
    )
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and {alias.name for alias in statement.names} <= {*exported}:
            where |= {alias.name: "." * statement.level + (statement.module or "") for alias in statement.names}
            lines[statement.lineno - 1 : statement.end_lineno] = [""] * len(
                lines[statement.lineno - 1 : statement.end_lineno]
            )
    return "\n".join([*lines, f"_WHERE = {where!r}", _WHEN_ASKED])


_WHEN_ASKED = """

def __getattr__(name):
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    globals()[name] = found = getattr(import_module(_WHERE[name], __name__), name)
    return found
"""


def cut_descriptions(data: Path) -> None:
    """Leaves of botocore's data what the client of our services reads."""
    for service in data.iterdir():
        if service.is_dir() and service.name not in SERVICES:
            shutil.rmtree(service)
    for name, operations in SERVICES.items():
        *old, current = sorted((data / name).iterdir())
        for version in old:
            shutil.rmtree(version)
        for path in current.iterdir():
            if path.name not in DESCRIPTIONS:
                path.unlink()
        described = current / "service-2.json.gz"
        model = only(json.loads(gzip.decompress(described.read_bytes())), operations)
        described.write_bytes(gzip.compress(json.dumps(model, separators=(",", ":")).encode(), mtime=0))
    endpoints = json.loads((data / "endpoints.json").read_text())
    for partition in endpoints["partitions"]:
        partition["services"] = {name: where for name, where in partition["services"].items() if name in SERVICES}
    (data / "endpoints.json").write_text(json.dumps(endpoints, separators=(",", ":")))


def only(model: dict[str, Any], operations: set[str]) -> dict[str, Any]:
    """A service's description with these operations, the shapes that they reach, and no prose."""
    kept = {name: operation for name, operation in model["operations"].items() if name in operations}
    if missing := operations - kept.keys():
        sys.exit(f"botocore knows no {', '.join(missing)}.")
    shapes: dict[str, Any] = {}
    left = [kept]
    while left:
        for name in shapes_in(left.pop()):
            if name not in shapes:
                shapes[name] = model["shapes"][name]
                left.append(shapes[name])
    described: dict[str, Any] = without_prose({**model, "operations": kept, "shapes": shapes})
    for parameter in described.get("clientContextParams", {}).values():
        parameter["documentation"] = ""  # botocore reads it
    return described


def shapes_in(described: Any) -> Iterator[str]:
    """The shapes that a part of a description names."""
    if isinstance(described, dict):
        if isinstance(name := described.get("shape"), str):
            yield name
        described = list(described.values())
    if isinstance(described, list):
        for part in described:
            yield from shapes_in(part)


def without_prose(described: Any) -> Any:
    if isinstance(described, dict):
        # A member of a structure may have that name too: then it is no text.
        prose = isinstance(described.get("documentation"), str)
        return {
            name: without_prose(part) for name, part in described.items() if not (prose and name == "documentation")
        }
    return [without_prose(part) for part in described] if isinstance(described, list) else described


def amazon_roots(bundle: str) -> str:
    """Those of a bundle's certificates that AWS uses: reading all of them is most of a first connection."""
    found = []
    for name in ROOTS:
        labelled = (
            rf'^# Label: "{re.escape(name)}"\n(?:#.*\n)*(-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n)'
        )
        (certificate,) = re.findall(labelled, bundle, re.MULTILINE) or sys.exit(f"botocore's bundle has no {name}.")
        found.append(f"# {name}\n{certificate}")
    return "\n".join(found)


# ---------------------------------------------------------------- bytecode


def interpreters(wanted: str, version: str) -> Iterator[str]:
    """Where a Python of this version may be."""
    yield from (wanted, sys.executable, f"python{version}")
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv")) / "versions"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", home / ".local/share/uv/python"))
    for folder in (*sorted(pyenv.glob(f"{version}.*")), *sorted(uv.glob(f"cpython-{version}.*"))):
        yield str(folder / "bin" / f"python{version}")


def version_of(python: str) -> str | None:
    """The version of an interpreter, None if it does not run: a name on the path may be pyenv's, and only say so."""
    command = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except OSError:
        return None
    return ran.stdout.strip() if ran.returncode == 0 else None


def compile_all(python: Path, compiler: str) -> None:
    """Bytecode that is taken as it is. SAM dates every file in its archive 1980, so what carries the date of its source
    would be refused and compiled again at each cold start, onto a disk that cannot be written to."""
    how = ["--invalidation-mode=unchecked-hash", "-q", "-j0", "-s", str(python.parent), "-p", "/opt"]
    subprocess.run([compiler, "-m", "compileall", *how, str(python)], check=True)


if __name__ == "__main__":
    main()
