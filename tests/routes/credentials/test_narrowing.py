"""A narrowed credential can do nothing outside of what it is narrowed to: each route of both dialects is asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atrium.permissions import PERMISSIONS
from local.functions import call
from local.template import Template
from tests.support.client import World, flat_id, flat_path
from tests.support.credentials import asked, made
from tests.support.matrix import CREDENTIALED
from tests.support.requests import EVERY_ROUTE, FOR_EVERYONE, OF_PROJECTS, WRITES, a_project
from tests.support.world import Count, inline

NARROWED = (403, "credential_narrowed")
ROUTES = {route.name: route for route in CREDENTIALED}


@pytest.fixture(scope="module")
def acme(template: Template, engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory: Path = tmp_path_factory.mktemp("narrowing")
    with inline(template, engine, directory, call) as world:
        yield world


class Narrow:
    """Credentials of the owner, who is an admin, and owner of both spaces: each is narrowed to what is outside."""

    def __init__(self, world: World) -> None:
        spaces = world.dev["tenants"]["acme"]["spaces"]
        self.world = world
        self.other = world.new_project("Other")
        elsewhere: dict[str, dict[str, Any]] = {
            "another space": {"space_ids": [spaces["research"]]},
            "another project": {"project_ids": [self.other.rpartition("/")[2]]},
            "another project of the space": {
                "space_ids": [spaces["default"]],
                "project_ids": [self.other.rpartition("/")[2]],
            },
        }
        self.elsewhere = {name: made(world, "owner", **narrowed)["secret"] for name, narrowed in elsewhere.items()}
        self._without: dict[str, str] = {}

    def without(self, permission: str) -> str:
        """One for every other permission."""
        if permission not in self._without:
            others = [each for each in PERMISSIONS if each != permission]
            self._without[permission] = made(self.world, "owner", permissions=others)["secret"]
        return self._without[permission]


@pytest.fixture(scope="module")
def narrow(acme: World) -> Narrow:
    return Narrow(acme)


def rows(world: World) -> dict[Any, Any]:
    """Of tenants: a credential's own row has its last use."""
    assert world.table is not None
    return {key: row for key, row in world.table.items().items() if key.pk.startswith("T#")}


@pytest.mark.parametrize("route", EVERY_ROUTE)
def test_route_does_and_shows_nothing_outside_of_a_narrowed_credential(
    acme: World, narrow: Narrow, route: str, count: Count
) -> None:
    project = a_project(acme)
    method, path, body = EVERY_ROUTE[route](acme, project)
    permission = ROUTES[route].permission
    secrets = dict(narrow.elsewhere)
    if permission is not None:
        secrets[f"without {permission}"] = narrow.without(permission)
    before = rows(acme)
    id = project.rpartition("/")[2]
    for name, secret in secrets.items():
        answer = asked(acme, secret, method, path, body, key=f"{route}-{name}".replace(" ", "-"))
        count(requests=1)
        if method == "GET" and answer.status == 200:
            # A list of what is inside; who the caller is; and what is no secret.
            shown = answer.content.decode()
            assert route in (*FOR_EVERYONE, "V1ListProjects", "ListProjects", "V1ListCredentials"), name
            assert id not in shown, name
            assert flat_id(id) not in shown, name
        elif route == "V1DeleteTaskNote" and name.startswith("without"):
            assert answer.status == 403, name
        else:
            assert (answer.status, answer.headers.get("x-error-code")) == NARROWED, (name, answer)
    assert rows(acme) == before


@pytest.mark.parametrize("route", OF_PROJECTS)
def test_project_route_succeeds_within_a_narrowed_credential(acme: World, narrow: Narrow, route: str) -> None:
    """With what its project needs, and no more than that: all but creations are below one project."""
    project = a_project(acme)
    method, path, body = EVERY_ROUTE[route](acme, project)
    space, id = project.split("/")[3], project.rpartition("/")[2]
    inside: dict[str, Any] = {"space_ids": [space]}
    if "CreateProject" not in route:
        inside["project_ids"] = [id]
    one = made(acme, "owner", **inside)
    assert asked(acme, one["secret"], method, path, body).status in (200, 201, 202, 204)
    assert acme("DELETE", one["path"]).status == 204


@pytest.mark.parametrize("route", WRITES)
def test_answer_with_data_is_not_replayed_outside_of_a_narrowed_credential(
    acme: World, narrow: Narrow, route: str
) -> None:
    project = a_project(acme)
    method, path, body = WRITES[route](acme, project)
    first = acme(method, path, body, key=f"replay-{route}")
    assert first.status in (200, 201, 202, 204)
    for name, secret in narrow.elsewhere.items():
        answer = asked(acme, secret, method, path, body, key=f"replay-{route}")
        if method == "DELETE":
            # A confirmation shows nothing but that the caller did it.
            assert answer.replayed == (first.status == 204 or "message" in first.body), name
        elif route == "V1UpdateTenant":
            # Each principal is shown its tenant.
            assert (answer.content, answer.replayed) == (first.content, True), name
        else:
            assert (answer.status, answer.replayed) == (403, False), name


def test_lists_have_what_is_within_and_nothing_else(acme: World, narrow: Narrow) -> None:
    hidden = acme.new_project("Hidden")
    other = flat_id(narrow.other.rpartition("/")[2])
    for name in ("another project", "another project of the space"):
        secret = narrow.elsewhere[name]
        assert [each["_id"] for each in asked(acme, secret, "GET", "/projects").body] == [other], name
        page = asked(acme, secret, "GET", acme.projects()).body
        assert [flat_id(each["id"]) for each in page["data"]] == [other], name
        assert page["meta"] == {"has_more": False, "next_cursor": None}
        assert asked(acme, secret, "GET", "/v1/me").body["spaces"] == []
        assert asked(acme, secret, "GET", "/v1/spaces").body["data"] == []
        assert asked(acme, secret, "GET", f"{flat_path(narrow.other)}/team/search?q=view").body == []
    research = acme.new_project("Research", space="research")
    listed = asked(acme, narrow.elsewhere["another space"], "GET", "/projects").body
    assert [each["_id"] for each in listed] == [flat_id(research.rpartition("/")[2])]
    reader = made(acme, "owner", permissions=["record:write"])["secret"]
    assert asked(acme, reader, "GET", "/projects").body == []
    assert asked(acme, reader, "GET", hidden).status == 403


def test_events_of_a_project_are_for_a_credential_with_all_that_a_manager_may(acme: World) -> None:
    project = acme.new_project()
    id, space = project.rpartition("/")[2], project.split("/")[3]
    manages = [each for each in PERMISSIONS if each.startswith(("project:", "member:", "record:"))]
    whole = made(acme, "owner", project_ids=[id], space_ids=[space], permissions=manages)["secret"]
    part = made(acme, "owner", project_ids=[id], space_ids=[space], permissions=manages[:-1])["secret"]
    path = f"/v1/events?project_id={id}"
    seen = asked(acme, whole, "GET", path)
    assert [each["type"] for each in seen.body["data"]] == ["project.created"]
    assert "request_id" not in seen.body["data"][0]
    for secret, place in ((part, path), (whole, "/v1/events")):
        answer = asked(acme, secret, "GET", place)
        assert (answer.status, answer.headers["x-error-code"]) == NARROWED
