"""`make generate`: every file, and every part of a file, that follows from the routes' own files.

A part stands between two marks; the rest of its file is written by hand.
"""

import json
import sys
from pathlib import Path

from local.template import ROOT
from tools import event_schemas, samples, tables
from tools.blocks import function_blocks
from tools.openapi import DOCUMENT
from tools.openapi.document import document
from tools.routes import FUNCTIONS, TEMPLATE, WrongDeclaration, routes

README, PERMISSIONS, SAM_LOCAL = ROOT / "README.md", ROOT / "docs" / "permissions.md", ROOT / "docs" / "sam-local.md"

_BEGINS, _ENDS = "written by `make generate`", "until here"


def derived() -> dict[Path, str]:
    """Each derived file with the text that it should have. Raises WrongDeclaration."""
    described = document()
    parts = {
        TEMPLATE: ("routes", f"\n{function_blocks(routes())}\n"),
        README: ("routes", tables.readme(routes())),
        PERMISSIONS: ("permissions", tables.permissions(routes())),
        SAM_LOCAL: ("commands", tables.commands(_samples())),
    }
    return {
        **{path: with_part(path.read_text(), name, part) for path, (name, part) in parts.items()},
        DOCUMENT: json.dumps(described, indent=1, ensure_ascii=False) + "\n",
        **event_schemas.texts(),
        **samples.texts(routes(), described["paths"]),
    }


def _samples() -> dict[str, str]:
    """The sample event of each function that a machine can run, by the function's logical id: ExportEvents needs a
    bucket."""
    files = (FUNCTIONS / "automation").glob("*.py")
    others = sorted(path.stem for path in files if path.stem != "export_events")
    return {
        **{route.name: route.file for route in routes()},
        "Authorizer": "authorizer",
        **{"".join(word.title() for word in name.split("_")): f"automation/{name}" for name in others},
    }


def with_part(text: str, name: str, part: str) -> str:
    """The text with `part` between the line that begins the part called `name` and the next line that ends one."""
    before, begin, rest = text.partition(f"{_BEGINS}: {name}")
    mark, newline, rest = rest.partition("\n")
    old, end, after = rest.partition(_ENDS)
    if not begin or not end:
        raise WrongDeclaration(f"A text has lost its marks: `{_BEGINS}: {name}`, and `{_ENDS}` behind it.")
    # The ending mark's line begins with what makes it a comment.
    indent = old.rpartition("\n")[2]
    return f"{before}{begin}{mark}{newline}{part}{indent}{end}{after}"


def main() -> None:
    try:
        changed = {path: text for path, text in derived().items() if not path.exists() or path.read_text() != text}
    except WrongDeclaration as error:
        sys.exit(str(error))
    for path, text in changed.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"Wrote {path.relative_to(ROOT)}")
    if not changed:
        print("Everything is up to date.")


if __name__ == "__main__":
    main()
