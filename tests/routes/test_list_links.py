"""The Link header of lists, projects and reports."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from atrium.store import records, whole
from local.functions import call
from local.gateway import Gateway
from local.template import Function, Template
from tests.support.client import RECORDS, Answer, World, flat_path, through
from tests.support.copies import copies


def test_cursor_of_a_link_is_accepted_by_its_target(world: World, cut: str) -> None:
    for path in (cut, f"{cut}/report", f"{cut}/tasks?limit=1", f"{cut}/datasets?limit=1&phase=data_understanding"):
        targets = re.findall("<http://api.test(.*?)>", world("GET", path).headers["link"])
        for target in targets:
            assert world("GET", target).status == 200, target


@pytest.mark.parametrize(
    ("sent", "scheme"),
    [
        ("https", "https"),
        ("http", "http"),
        ("javascript", "http"),
        ('x>; rel="next", <http', "http"),
        ("", "http"),
    ],
)
def test_scheme_of_a_link_is_http_or_https_only(shared: World, sent: str, scheme: str) -> None:
    """The gateway of these tests speaks http."""
    for _ in range(2):
        shared.new_project()
    listed = shared("GET", "/projects?limit=1", headers={"X-Forwarded-Proto": sent})
    assert re.fullmatch(rf'<{scheme}://api\.test/projects\?limit=1&cursor=[\w-]+>; rel="next"', listed.headers["link"])


@pytest.fixture
def cut(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """The flat path of a project with two records of each kind, of which it and its report show one."""
    monkeypatch.setattr(whole, "MAX_SHOWN_TASKS", 1)
    monkeypatch.setattr(records, "_MAX_REPORTED", 1)
    project = world.new_project()
    for kind in RECORDS:
        for _ in range(2):
            world.new_record(project, kind)
    return flat_path(project)


def urls(answer: Answer) -> list[str]:
    """The targets of an answer's Link header, without their cursors, which are there but for a list's beginning."""
    assert answer.status == 200, answer
    return [re.sub(r"(?<=[?&]cursor=)[\w-]{22}$", "…", url) for url in re.findall("<(.*?)>", answer.headers["link"])]


@pytest.mark.parametrize("before", ["", "/prod", "/a/b"])
def test_links_have_the_path_of_the_resource_for_any_form_of_the_request(
    world: World, template: Template, cut: str, before: str
) -> None:
    """API Gateway passes the path with the stage or a domain's base path before it, and with a client's slash behind
    it. A link keeps the known parameters of the query of its own list only."""

    def behind(function: Function, event: Mapping[str, Any]) -> Any:
        context = event["requestContext"]
        return call(function, {**event, "requestContext": {**context, "path": before + context["path"]}})

    asked = World(through(Gateway(template.api, template.functions, behind, template.stage)), world.dev)
    here = f"http://api.test{before}{cut}"
    for slash in ("", "/"):
        assert urls(asked("GET", f"{cut}{slash}?limit=1&cursor=zzz&phase=x")) == [f"{here}/tasks?cursor=…"]
        rest = [f"{here}/tasks?cursor=…", f"{here}/datasets?cursor=…", f"{here}/decisions", f"{here}/experiments"]
        assert urls(asked("GET", f"{cut}/report{slash}?phase=modeling&limit=1&cursor=zzz")) == rest
        page = asked("GET", f"{cut}/datasets{slash}?_=1&limit=1&phase=data_understanding&page=7")
        assert urls(page) == [f"{here}/datasets?limit=1&phase=data_understanding&cursor=…"]
        note = asked("GET", f"{cut}/tasks{slash}?limit=1")
        assert urls(note) == [f"{here}/tasks?limit=1&cursor=…"]
    shown = asked("GET", cut).body
    assert urls(asked("PUT", f"{cut}/?limit=1", shown | {"clientName": "Acme"})) == [f"{here}/tasks?cursor=…"]


def test_list_entry_with_some_tasks_links_to_the_rest(world: World, cut: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The anchor of the link is the project (RFC 8288, 3.2). A page has at most ten such links."""
    id = cut.rpartition("/")[2]
    listed = world("GET", "/projects")
    (form,) = [listed.headers["link"]]
    (cursor,) = re.findall(r"cursor=([\w-]{22})", form)
    url = f"http://api.test{cut}"
    assert form == f'<{url}/tasks?cursor={cursor}>; rel="next"; title="tasks"; anchor="{url}"'
    assert (len(listed.body), listed.body[0]["_id"]) == (1, id)
    assert len(world("GET", f"{cut}/tasks?cursor={cursor}").body) == 1
    copies(id, 11)
    monkeypatch.setattr(whole, "_WIDE", 64)
    first = world("GET", "/projects")
    own, *others = first.headers["link"].split(", ")
    assert re.fullmatch(r'<http://api\.test/projects\?cursor=[\w-]{22}>; rel="next"', own)
    assert len(first.body) == len(others) == 10
    assert [each.rpartition("/")[2].strip('"') for each in others] == [project["_id"] for project in first.body]
    rest = world("GET", own.partition(">")[0].partition("api.test")[2])
    assert (len(rest.body), rest.headers["link"].count("anchor=")) == (2, 2)
