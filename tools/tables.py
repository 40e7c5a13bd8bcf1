"""The tables in Markdown that follow from the routes."""

from collections.abc import Iterable, Mapping

from tools.routes import Route


def readme(routes: Iterable[Route]) -> str:
    """The rows of the routes: summary, parameters of the query, and who may."""
    rows = [
        f"| `{route.method} {_short(route.path)}` | {'; '.join([route.summary, *_query(route)])} | {route.who} |\n"
        for route in routes
    ]
    return "".join(["\n| route | what it does | who may |\n|---|---|---|\n", *rows, "\n"])


def permissions(routes: Iterable[Route]) -> str:
    """The permission that each route asks for, and the role of its function."""
    rows = [
        f"| `{route.method} {_short(route.path)}` | {f'`{route.permission}`' if route.permission else ''} "
        f"| {route.who} | `{route.access}Role` |\n"
        for route in routes
    ]
    return "".join(["\n| route | permission | who may | role in AWS |\n|---|---|---|---|\n", *rows, "\n"])


def commands(samples: Mapping[str, str]) -> str:
    """For docs/sam-local.md: each function, by its logical id, on its sample event."""
    return "".join(["\n```\n", *(f"run {name} {sample}\n" for name, sample in samples.items()), "```\n\n"])


def _short(path: str) -> str:
    return path.replace("/v1/spaces/{space_id}/projects/{project_id}/", "…/projects/{project_id}/")


def _query(route: Route) -> list[str]:
    names = [] if route.public else [f"`{each.alias}`" for each in route.served.dependant.query_params]
    return [", ".join(names)] if names else []
