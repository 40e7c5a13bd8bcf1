"""`make mutants`: breaks the code that must not be wrong in one place after the other, and sees the tests fail.

Each group is a promise's code with the tests that keep it. What no test notices is printed: it is explained in
docs/promises.md, or it is a gap. Everything happens in a copy, since a mutant stands in its file while it is tested.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from local.database import database, new_access_key_id

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = "layers/atrium/atrium"

# Seconds that the tests of one mutant may take.
TIMEOUT = 600

# A mutant of an annotation ends the import, and one that makes a list of a number ends with a TypeError: they say
# nothing about tests. `is` in the place of `==` is the same for the constants of a program.
LEFT_OUT = [
    "core/ReplaceBinaryOperator_BitOr_.*",
    "core/ReplaceBinaryOperator_.*_(Pow|RShift|LShift|FloorDiv|Mod|BitXor|BitOr|BitAnd|Mul|Div)$",
    "core/ReplaceComparisonOperator_(Eq|NotEq|Lt|LtE|Gt|GtE)_(Is|IsNot)$",
    "core/ReplaceComparisonOperator_(Is_Eq|IsNot_NotEq)$",
]


class Group(NamedTuple):
    """Modules of the package, and the tests that are to notice a mutant of them, the quickest first."""

    modules: Sequence[str]
    tests: Sequence[str]


# The tests of access tokens.
TOKENS = ("token_limits", "key_documents", "key_cache", "acceptance", "forgery")

GROUPS = {
    "idempotency": Group(["store/engine/work.py"], ["idempotency", "interleavings", "faults"]),
    "authorizer": Group(
        ["api/authorizer.py", "credentials.py", "store/credentials.py"],
        ["authentication", "lifecycle", *TOKENS, "request_logs"],
    ),
    "access_tokens": Group(["access_tokens.py", "issuer_keys.py"], TOKENS),
    "wall": Group(
        ["store/engine/wall.py", "store/engine/scope.py"],
        ["tenant_wall", "wall_mistakes", "request_logs", "automation_logs"],
    ),
    "roles": Group(["permissions.py", "store/access.py"], ["authorization", "escalation", "interleavings"]),
}


def main() -> None:
    chosen = sys.argv[1:] or list(GROUPS)
    with (
        TemporaryDirectory() as directory,
        database(None, new_access_key_id()) as engine,
        ThreadPoolExecutor(os.cpu_count()) as threads,
    ):
        # One for all: starting it takes longer than most mutants live.
        engine.wait_until_ready()
        os.environ["ENGINE"], os.environ["ENGINE_KEY"] = engine.endpoint, engine.access_key_id
        results = list(threads.map(lambda name: run(name, Path(directory)), chosen))
    for name, outcomes, survivors in results:
        killed, total = outcomes["killed"], outcomes["killed"] + outcomes["survived"]
        print(f"{name}: {killed} of {total} mutants noticed, {killed / total:.1%}; not run {outcomes['abnormal']}")
        for survivor in survivors:
            print(survivor)


def run(name: str, directory: Path) -> tuple[str, Counter[str], list[str]]:
    """What became of a group's mutants, and the survivors as diffs."""
    group, copy = GROUPS[name], directory / name
    left = shutil.ignore_patterns(".git", ".venv", ".local", ".aws-sam", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT, copy, ignore=left)
    tests = [str(path.relative_to(ROOT)) for test in group.tests for path in (ROOT / "tests").rglob(f"test_{test}.py")]
    # What noticed the mutant before comes first: it is likely to notice its neighbour, too.
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "--ff", *tests]
    config = {
        "module-path": [f"{PACKAGE}/{module}" for module in group.modules],
        "timeout": TIMEOUT,
        "excluded-modules": [],
        "test-command": shlex.join(command),
        "distributor": {"name": "local"},
        "filters": {"operators-filter": {"exclude-operators": LEFT_OUT}},
    }
    (copy / "mutants.toml").write_text(toml(config, "cosmic-ray"))
    for step in (
        ["cosmic-ray", "init", "mutants.toml", "session.sqlite"],
        ["cr-filter-operators", "session.sqlite", "mutants.toml"],
        ["cosmic-ray", "exec", "mutants.toml", "session.sqlite"],
    ):
        cosmic_ray(copy, *step)
    return name, *outcome(cosmic_ray(copy, "cosmic-ray", "dump", "session.sqlite"))


def outcome(dump: str) -> tuple[Counter[str], list[str]]:
    outcomes: Counter[str] = Counter()
    survivors = []
    for line in dump.splitlines():
        work, result = json.loads(line)
        if result is None or result["worker_outcome"] == "skipped":
            continue
        judged = result["test_outcome"] if result["worker_outcome"] == "normal" else "abnormal"
        outcomes["killed" if judged == "incompetent" else judged] += 1
        if judged == "survived":
            (mutation,) = work["mutations"]
            survivors.append(f"{mutation['operator_name']} line {mutation['start_pos'][0]}\n{result['diff']}")
    return outcomes, survivors


def cosmic_ray(copy: Path, program: str, *arguments: str) -> str:
    path = Path(sys.executable).parent / program
    ran = subprocess.run([path, *arguments], cwd=copy, env=os.environ, capture_output=True, text=True)
    if ran.returncode:
        sys.exit(f"{program}: {ran.stderr}")
    return ran.stdout


def toml(value: dict[str, Any], table: str) -> str:
    lines = [
        f"[{table}]",
        *(f"{name} = {json.dumps(item)}" for name, item in value.items() if not isinstance(item, dict)),
    ]
    below = [toml(item, f"{table}.{name}") for name, item in value.items() if isinstance(item, dict)]
    return "\n".join([*lines, "", *below])


if __name__ == "__main__":
    main()
