"""The statuses that tests/routes/authorization.md promises, for each route and each kind of caller."""

import re

from local.template import ROOT
from tests.support.routes import operation
from tools.routes import Route, routes

STATEMENT = ROOT / "tests/routes/authorization.md"


def stated() -> dict[str, dict[str, str]]:
    """The cells of the statement: by permission, or by method and path of a route that deviates; then by caller."""
    found: dict[str, dict[str, str]] = {}
    callers: list[str] = []
    for line in STATEMENT.read_text().splitlines():
        cells = [cell.strip(" `") for cell in line.strip("|").split("|")]
        if line.startswith(("| permission ", "| route ")):
            assert callers in ([], cells[1:]), "the two tables have different callers"
            callers = cells[1:]
        elif re.match(r"\| `", line):
            assert cells[0] not in found, f"{cells[0]} has two rows"
            found[cells[0]] = dict(zip(callers, cells[1:], strict=True))
    return found


def row_of(route: Route) -> str:
    """The row that a route's statuses come from."""
    own = f"{route.method} {route.path}"
    return own if own in STATED else route.permission or "none"


def success(route: Route) -> int:
    """The status with which a route succeeds."""
    (status,) = (status for status in operation(route)["responses"] if status < "3")
    return int(status)


STATED = stated()
CALLERS = list(next(iter(STATED.values())))

# The routes behind a credential.
CREDENTIALED = [route for route in routes() if not route.public]

# By method and path, then by caller. A route whose permission has no row is missing here.
MATRIX = {
    (route.method, route.path): {
        caller: success(route) if cell == "yes" else int(cell) for caller, cell in STATED[row_of(route)].items()
    }
    for route in CREDENTIALED
    if row_of(route) in STATED
}
