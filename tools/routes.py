"""The routes, as their files in functions/ declare them. All that `make generate` writes of a route begins here."""

import importlib
import re
from dataclasses import dataclass
from functools import cache
from inspect import cleandoc
from types import ModuleType
from typing import Any

from atrium.api.resolver import Api
from atrium.permissions import TENANT_PERMISSIONS, Role
from local.template import ROOT

FUNCTIONS = ROOT / "functions"
TEMPLATE = ROOT / "template.yaml"


@dataclass(frozen=True)
class Group:
    """Routes that are shown together: those whose paths begin with one of `paths`, and with no longer one of another
    group."""

    name: str
    paths: tuple[str, ...]
    description: str


_OF_A_PROJECT = "/v1/spaces/{space_id}/projects/{project_id}"

# In the order in which readers meet them: in the OpenAPI document, in template.yaml and in the tables.
GROUPS = (
    Group("flat-projects", ("/projects",), 'Projects with their tasks and team, whole. Errors are `{"error"}`.'),
    Group("flat-tasks", ("/projects/{id}/tasks",), "What is to be done in a project, and notes on it."),
    Group("flat-datasets", ("/projects/{id}/datasets",), "The data that a project works with."),
    Group("flat-experiments", ("/projects/{id}/experiments",), "What was tried, and what came of it."),
    Group("flat-decisions", ("/projects/{id}/decisions",), "What was decided, and why."),
    Group("flat-reports", ("/projects/{id}/report",), "A project in one piece."),
    Group("flat-team", ("/projects/{id}/team",), "Who is in a project, besides its manager."),
    Group("v1-caller", ("/v1/me", "/v1/roles"), "Who is asking, and which roles there are."),
    Group("v1-tenant", ("/v1/tenant",), "The tenant, to which everything belongs."),
    Group("v1-spaces", ("/v1/spaces",), "Spaces, which hold projects."),
    Group("v1-space-members", ("/v1/spaces/{space_id}/members",), "Who is in a space, and with which role."),
    Group("v1-projects", ("/v1/spaces/{space_id}/projects",), 'Projects of a space. Errors are `{"detail"}`.'),
    Group("v1-members", (f"{_OF_A_PROJECT}/members",), "Who is in a project, and with which role."),
    Group("v1-tasks", (f"{_OF_A_PROJECT}/tasks",), "What is to be done in a project."),
    Group("v1-datasets", (f"{_OF_A_PROJECT}/datasets",), "The data that a project works with."),
    Group("v1-experiments", (f"{_OF_A_PROJECT}/experiments",), "What was tried, and what came of it."),
    Group("v1-decisions", (f"{_OF_A_PROJECT}/decisions",), "What was decided, and why."),
    Group("v1-principals", ("/v1/principals",), "The people and programs of the tenant."),
    Group("v1-credentials", ("/v1/principals/{principal_id}/credentials",), "What a principal sends to be known."),
    Group("v1-webhooks", ("/v1/webhooks",), "URLs to which events are delivered, and what became of each delivery."),
    Group("v1-events", ("/v1/events",), "What has changed, who changed it, and when."),
    Group("documentation", ("/docs", "/openapi.json"), "This document. No credential is needed."),
)

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

# The role of a public route, and its memory: it calls nothing.
_PUBLIC: dict[str, Any] = {"permission": None, "who": "everybody", "access": "NoTable", "memory": 256}


class WrongDeclaration(Exception):
    """A route's file says something that cannot be; the message says what to do."""


@dataclass(frozen=True)
class Route:
    """A route. `file` is its file in functions/ without the ending; the other fields are what that file declares (see
    atrium.api.facts). `permission` is None for every caller, `memory` for the template's default."""

    file: str
    method: str
    path: str
    summary: str
    description: str
    permission: str | None
    access: str
    who: str
    public: bool = False
    memory: int | None = None
    versioned: bool = True
    credentials: bool = False
    enrols: bool = False
    refusals: tuple[int, ...] = ()

    @property
    def prefix(self) -> str:
        return "V1" if self.file.startswith("v1/") else ""

    @property
    def name(self) -> str:
        """The logical id of the function in template.yaml."""
        return self.prefix + "".join(word.title() for word in self.file.rpartition("/")[2].split("_"))

    @property
    def id(self) -> str:
        """The operation's id in the OpenAPI document: the file's name, with the dialect's in front."""
        return self.prefix.lower() + ("_" if self.prefix else "") + self.file.rpartition("/")[2]

    @property
    def module(self) -> ModuleType:
        return importlib.import_module(self.file.replace("/", "."))

    @property
    def served(self) -> Any:
        """Powertools' own object for the route."""
        return _served(self.module)

    @property
    def group(self) -> Group:
        fitting = [(len(path), group) for group in GROUPS for path in group.paths if self.path.startswith(path)]
        if not fitting:
            raise WrongDeclaration(
                f"functions/{self.file}.py: no group of routes has the path {self.path}. "
                "Add the path to a row of GROUPS in tools/routes.py, or a row."
            )
        return max(fitting, key=lambda each: each[0])[1]

    @property
    def writes(self) -> bool:
        """Whether it may change anything: one POST only asks a question, and its role cannot write."""
        return self.method != "GET" and "dynamodb:PutItem" in roles()[self.access]


@cache
def roles() -> dict[str, str]:
    """The roles of template.yaml as they stand there, by their names without the word Role."""
    return dict(re.findall(r"^  (\w+)Role:\n(.*?)(?=\n\n)", TEMPLATE.read_text(), re.MULTILINE | re.DOTALL))


@cache
def routes() -> tuple[Route, ...]:
    """Every route: group by group, in a group by path, and on a path GET, POST, PUT, PATCH, DELETE.

    Raises WrongDeclaration.
    """
    files = [str(path.relative_to(FUNCTIONS).with_suffix("")) for path in FUNCTIONS.rglob("*.py")]
    found = [_route(file) for file in files if file != "authorizer" and not file.startswith("automation/")]
    groups = {group.name: place for place, group in enumerate(GROUPS)}
    return tuple(sorted(found, key=lambda each: (groups[each.group.name], each.path, _METHODS.index(each.method))))


def _route(file: str) -> Route:
    module = importlib.import_module(file.replace("/", "."))
    summary, _, description = cleandoc(module.__doc__ or "").partition("\n")
    if not summary.endswith("."):
        raise WrongDeclaration(
            f"functions/{file}.py: begin the docstring with one sentence on a line of its own, and a full stop. It is "
            "the summary in the OpenAPI document and in README's table."
        )
    said: dict[str, Any] = {
        "file": file,
        "summary": summary.removesuffix("."),
        "description": "\n\n".join(" ".join(part.split()) for part in description.strip().split("\n\n")),
    }
    if public := getattr(module, "PUBLIC", None):
        method, path = public.split()
        return Route(**said, method=method, path=path, public=True, **_PUBLIC)
    served, facts = _served(module), module.api.facts
    if facts["access"] not in roles():
        raise WrongDeclaration(
            f'functions/{file}.py: access="{facts["access"]}", but template.yaml has no {facts["access"]}Role. '
            f"It has {', '.join(sorted(roles()))}."
        )
    said |= {"who": _who(file, facts["permission"]), **facts}
    return Route(**said, method=served.method, path=re.sub(r"<(\w+)>", r"{\1}", served.path))


def _served(module: ModuleType) -> Any:
    api: Api = module.api
    (served,) = (*api._static_routes, *api._dynamic_routes)
    return served


def _who(file: str, permission: str | None) -> str:
    """The weakest role with the permission. A new project has none yet, so there its space's roles count."""
    if permission is None:
        return "anyone"
    if permission in TENANT_PERMISSIONS:
        return "admin"
    for role in Role:
        if permission in role.permissions:
            return f"{role.key} of the space" if permission == "project:create" else role.key
    raise WrongDeclaration(f'functions/{file}.py: permission="{permission}", which no role has.')
