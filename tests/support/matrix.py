"""The statuses that tests/routes/authorization.md promises."""

from local.template import ROOT

Route = tuple[str, str]


def matrix() -> dict[Route, dict[str, int]]:
    """The statuses of authorization.md: by method and path, then by caller."""
    text = (ROOT / "tests/routes/authorization.md").read_text()
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith(("| route", "| `"))]
    (_, *callers), *rows = [[cell.strip(" `") for cell in line] for line in lines]
    found = {}
    for route, *statuses in rows:
        method, _, path = route.partition(" ")
        assert (method, path) not in found, f"{route} has two rows"
        found[method, path] = dict(zip(callers, map(int, statuses), strict=True))
    return found


MATRIX = matrix()
CALLERS = list(next(iter(MATRIX.values())))
