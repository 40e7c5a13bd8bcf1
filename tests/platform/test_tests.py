"""The tests' own structure: shared helpers are in tests/support/."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from local.template import ROOT

A_TEST = re.compile(r"\.(test_\w+|conftest)(\.|$)")


def imported(path: Path) -> Iterator[str]:
    """The dotted names of the modules and names that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_nothing_is_imported_from_a_test() -> None:
    """If this is red, move the imported name to a module of tests/support/ and import it from there in both places."""
    files = [
        path
        for directory in ("tests", "benchmarks", "local", "tools")
        for path in (ROOT / directory).rglob("*.py")
        if "node_modules" not in path.parts
    ]
    assert len(files) > 100
    wrong = [(str(path.relative_to(ROOT)), name) for path in files for name in imported(path) if A_TEST.search(name)]
    assert wrong == []
