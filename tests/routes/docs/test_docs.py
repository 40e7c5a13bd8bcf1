"""GET /docs and GET /openapi.json: public and self-contained; the page in a real browser."""

import gzip
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.functions import call
from local.template import ROOT, Template
from tests.support.client import A_UUID, Answer, World, curls
from tests.support.clock import NET
from tests.support.live import served
from tests.support.routes import COMMITTED

PAGES = ["/docs", "/openapi.json"]

# The maximum answer of a Lambda function.
MAX_RESPONSE_BYTES = 6 * 1024 * 1024


def header(answer: Answer, name: str) -> str:
    return answer.headers[name.lower()]


@pytest.mark.parametrize("path", PAGES)
def test_page_is_public_with_any_headers(shared: World, path: str) -> None:
    bare = shared("GET", path, by=None)
    wrong = shared("GET", path, by=None, headers={"Authorization": "Bearer nobody", "X-API-Key": "nobody"})
    assert (bare.status, wrong.status) == (200, 200)
    assert bare.content == wrong.content
    assert len(json.dumps(bare.content.decode())) < MAX_RESPONSE_BYTES


@pytest.mark.parametrize("path", PAGES)
def test_page_has_security_headers_for_browsers(shared: World, path: str) -> None:
    answer = shared("GET", path, by=None)
    assert header(answer, "X-Content-Type-Options") == "nosniff"
    assert header(answer, "Referrer-Policy") == "no-referrer"
    assert header(answer, "Access-Control-Allow-Origin") == "*"
    assert len(header(answer, "X-Request-Id")) == 36
    policy = dict(each.strip().split(" ", 1) for each in header(answer, "Content-Security-Policy").split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert not re.search(r"https?:|\*|unsafe-eval", header(answer, "Content-Security-Policy"))
    assert "unsafe-inline" not in policy.get("script-src", "")


def test_document_names_the_url_of_the_request_as_its_server(template: Template) -> None:
    """API Gateway puts the stage into the path, but not on a custom domain."""
    asked = json.loads((ROOT / "events/get_openapi.json").read_text())
    for domain, path, url in (
        (
            "abc.execute-api.eu-west-1.amazonaws.com",
            "/prod/openapi.json",
            "https://abc.execute-api.eu-west-1.amazonaws.com/prod",
        ),
        ("api.example.com", "/openapi.json", "https://api.example.com"),
        ("api.example.com", "/openapi.json/", "https://api.example.com"),
    ):
        context = {**asked["requestContext"], "domainName": domain, "path": path}
        event = {**asked, "requestContext": context, "multiValueHeaders": {"X-Forwarded-Proto": ["https"]}}
        answer = call(template.functions["GetOpenapi"], event)
        assert [server["url"] for server in json.loads(answer["body"])["servers"]] == [url]
        etag = {"If-None-Match": answer["multiValueHeaders"]["ETag"]}
        again = call(template.functions["GetOpenapi"], {**event, "multiValueHeaders": etag})
        assert again["statusCode"] == 304


@pytest.mark.parametrize("path", PAGES)
def test_page_with_a_known_etag_is_304(shared: World, path: str) -> None:
    first = shared("GET", path, by=None)
    assert header(first, "Cache-Control") == "no-cache"
    etag = header(first, "ETag")
    for known in (etag, f"W/{etag}", f'"other", {etag}'):
        again = shared("GET", path, by=None, headers={"If-None-Match": known})
        assert (again.status, again.content, header(again, "ETag")) == (304, b"", etag)
    assert shared("GET", path, by=None, headers={"If-None-Match": '"other"'}).content == first.content


@pytest.mark.parametrize("path", PAGES)
def test_head_of_a_page_is_get_without_the_body(shared: World, path: str) -> None:
    def of(answer: Answer) -> dict[str, str]:
        return {name: value for name, value in answer.headers.items() if name != "x-request-id"}

    get, head = (shared(method, path, by=None) for method in ("GET", "HEAD"))
    assert (head.status, head.content, of(head)) == (200, b"", of(get))
    known = {"If-None-Match": header(get, "ETag")}
    get, head = (shared(method, path, by=None, headers=known) for method in ("GET", "HEAD"))
    assert (head.status, head.content, of(head)) == (304, b"", of(get))


def test_head_has_the_function_of_get_on_pages_only(template: Template) -> None:
    heads = {path: each["head"] for path, each in template.api["paths"].items() if "head" in each}
    assert heads == {path: template.api["paths"][path]["get"] for path in PAGES}


def test_served_document_equals_the_committed_one(shared: World) -> None:
    answer = shared("GET", "/openapi.json", by=None)
    document = json.loads(answer.content)
    (server,) = document.pop("servers")
    assert server == {**COMMITTED["servers"][0], "url": "http://api.test"}
    assert document == {name: part for name, part in COMMITTED.items() if name != "servers"}
    assert header(answer, "Content-Type") == "application/json"


def test_requests_of_the_quickstart_succeed(shared: World) -> None:
    quickstart = COMMITTED["info"]["description"].partition("\n## Quickstart\n")[2].partition("\n## ")[0]
    text = quickstart.replace("$ATRIUM_TOKEN", shared.principal("owner")["token"]).replace("$ATRIUM", "http://api.test")
    (who, project) = (shared.raw(*command) for command in curls(text))
    assert who.seen == shared("GET", "/v1/me").seen
    assert (project.status, project.body["projectName"]) == (201, "Apollo")


def test_page_is_self_contained_and_compressed(shared: World, template: Template) -> None:
    answer = shared("GET", "/docs", by=None)
    assert header(answer, "Content-Type") == "text/html; charset=utf-8"
    html = re.sub(r"<(script|style)>.*?</\1>", "", answer.content.decode(), flags=re.DOTALL)
    assert not re.search(r"""(src|href)=["'](?!data:|#|openapi\.json)""", html)
    assert "/* " not in html
    (api,) = (item for item in template.resources.values() if item["Type"] == "AWS::ApiGateway::RestApi")
    assert api["Properties"]["MinimumCompressionSize"] == 4096
    assert len(gzip.compress(answer.content)) < 600_000


def in_a_browser(script: str, *arguments: str) -> Any:
    """The report of a script of tests/browser."""
    ran = subprocess.run(
        [Path(sys.executable).with_name("node"), ROOT / "tests/browser" / script, *arguments],
        capture_output=True,
        text=True,
        timeout=NET,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout)


# Operations of both dialects and of each kind: those that the scripts of the browser use, and some that they do not.
FEW = {
    *("list_projects", "create_project", "delete_project", "update_task", "reassign_task", "list_datasets"),
    *("add_team_member", "find_team_member", "search_team", "v1_get_me", "v1_update_project", "v1_list_members"),
    *("v1_delete_decision", "v1_list_principals", "v1_list_events", "get_openapi"),
}


def with_few_operations() -> dict[str, Any]:
    """The committed document with FEW of its operations, and with what they refer to."""
    paths = {
        path: {method: each for method, each in item.items() if each["operationId"] in FEW}
        for path, item in COMMITTED["paths"].items()
    }
    paths = {path: item for path, item in paths.items() if item}
    used = {tag for item in paths.values() for each in item.values() for tag in each["tags"]}
    every = COMMITTED["components"]
    components: dict[str, dict[str, Any]] = {"securitySchemes": every["securitySchemes"]}
    text = json.dumps(paths)
    while text:
        found = set(re.findall('"#/components/([^/"]+)/([^/"]+)"', text))
        new = [(kind, name) for kind, name in sorted(found) if name not in components.setdefault(kind, {})]
        for kind, name in new:
            components[kind][name] = every[kind][name]
        text = "".join(json.dumps(every[kind][name]) for kind, name in new)
    tags = [tag for tag in COMMITTED["tags"] if tag["name"] in used]
    return {**COMMITTED, "tags": tags, "paths": paths, "components": components}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """GET /openapi.json answers this document. A browser takes two seconds of a processor for the whole one, and most
    of what the page does is the same with few operations.
    """
    document, function = with_few_operations(), import_module("get_openapi")
    monkeypatch.setattr(function, "document", json.dumps(document))
    function.page.cache_clear()
    yield document
    function.page.cache_clear()


LANGUAGES = ["curl", "Python", "JavaScript"]


def run(samples: dict[str, str], owner: dict[str, str], url: str) -> dict[str, tuple[int, Any]]:
    """The answer to each sample, by language. The machine need not have curl."""
    assert list(samples) == LANGUAGES
    secrets = {"ATRIUM_TOKEN": owner["token"], "ATRIUM_KEY": owner["api_key"]}
    text = samples["curl"]
    for name, secret in secrets.items():
        text = text.replace(f"${name}", secret)
    ((method, _, headers, body),) = curls(text)
    assert url in text
    answer = httpx.request(method, shlex.split(text)[1 if method == "GET" else 3], headers=headers, content=body)
    answers = {"curl": f"{answer.status_code} {answer.text}"}
    node = str(Path(sys.executable).with_name("node"))
    for language, command in (("Python", [sys.executable, "-"]), ("JavaScript", [node, "--input-type=module", "-"])):
        ran = subprocess.run(
            command,
            input=samples[language],
            env=os.environ | secrets,
            capture_output=True,
            text=True,
            timeout=NET,
        )
        assert ran.returncode == 0, ran.stderr[-2000:]
        answers[language] = ran.stdout
    told = {language: text.partition(" ") for language, text in answers.items()}
    return {language: (int(status), json.loads(body)) for language, (status, _, body) in told.items()}


def shown(document: dict[str, Any]) -> tuple[list[str], dict[str, int]]:
    """The groups of the page, and how many operations it shows of each dialect."""
    every = [path for path, item in document["paths"].items() for _ in item]
    v1 = [path for path in every if path.startswith("/v1/")]
    flat = [path for path in every if path.startswith("/projects")]
    numbers = {"all": len(every), "flat": len(every) - len(v1), "v1": len(every) - len(flat)}
    return [tag["name"] for tag in document["tags"]], numbers


def searched(document: dict[str, Any]) -> dict[str, list[Any]]:
    """The findings of the page for some phrases: in the whole document no more than in one of few operations."""
    every = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    return {
        "e-mail find": [["add_team_member", "find_team_member", "search_team", "v1_list_principals"], "4 operations"],
        "PATCH reassign": [["reassign_task"], "1 operation"],
        "": [every, ""],
    }


def test_browser_renders_the_page_takes_a_key_and_sends_a_request(shared: World, few: dict[str, Any]) -> None:
    """Under a stage, where a URL made from the root alone would lead nowhere. The next tests have none."""
    owner = shared.principal("owner")
    with served(shared, "/prod") as url:
        seen = in_a_browser("docs.mjs", url, owner["api_key"])
        ran = {name: run(samples, owner, url) for name, samples in seen["samples"].items()}
        sent = run(seen["sent"], owner, url)
    assert seen["errors"] == []
    assert seen["title"] == "Atrium API"
    assert (seen["groups"], seen["operations"]) == shown(few)
    assert seen["button"] == "Authorized"
    me = shared("GET", "/v1/me").body
    by_key = me | {"credential": me["credential"] | {"id": A_UUID, "kind": "api_key"}}
    assert seen["answer"] == {"url": f"{url}/v1/me", "status": 200, "body": by_key}
    assert seen["secret"] is False
    assert sent == dict.fromkeys(LANGUAGES, (200, by_key))
    assert {name: {status for status, _ in each.values()} for name, each in ran.items()} == {
        "flat-projects-create_project": {201},
        "v1-projects-v1_update_project": {404},  # of the example's ids
        "flat-projects-delete_project": {404},
    }
    example = few["paths"]["/projects"]["post"]["requestBody"]["content"]["application/json"]["example"]
    for language, (_, made) in ran["flat-projects-create_project"].items():
        assert example.items() <= made.items(), language
    assert seen["kept"] == {
        "the same tab": ["Authorized", False],
        "another tab": ["Authorize", False],
        "another tab, ticked": ["Authorized", True],
        "the same tab, unticked": ["Authorized", False],
        "another tab, unticked": ["Authorize", False],
        "the same tab, logged out": ["Authorize", False],
        "what an older page kept": ["Authorize", False],
    }
    pages = [f"{url}/docs", f"{url}/openapi.json"]
    assert seen["asked"] == [*pages, f"{url}/v1/me", *pages, *pages]


def test_browser_page_is_accessible_linkable_and_searchable(shared: World, few: dict[str, Any]) -> None:
    with served(shared) as url:
        seen = in_a_browser("reading.mjs", url)
    looks = [f"open, {width}, {colours}" for width in (1400, 390) for colours in ("light", "dark")]
    looks += ["closed, 1400, light", "closed, 390, dark", "the dialog, 1400, dark", "the dialog, 390, light"]
    assert seen["found"] == {look: [] for look in looks}
    assert seen["wider"] == dict.fromkeys(looks, 0)
    # Each refusal is a line, and more when it is asked for.
    answers = few["paths"]["/v1/spaces/{space_id}/projects/{project_id}"]["patch"]["responses"]
    assert seen["refusals"] == [status for status in answers if status >= "400"]
    assert seen["unfolded"] == 0
    project = few["paths"]["/projects/{id}/datasets"]["get"]["parameters"][0]["example"]
    assert seen["sent"] == f"{url}/projects/{project}/datasets?limit=1000"
    # Escape closes the dialog, and one is where one was.
    assert seen["focus"] == ["credentials", "enter"]
    # A linked operation is visible, on the page and in a new tab. The chosen dialect stays chosen.
    assert seen["linked"] == {
        "#/flat-tasks/update_task": [True, True, "v1"],
        "#/v1-decisions/v1_delete_decision": [True, True, "flat"],
        "#/v1-members": [True, True, "flat"],
        "#errors": [True, True, "v1"],
    }
    sections = re.findall(r"^## (.*)$", few["info"]["description"], re.MULTILINE)
    assert seen["sections"] == [[title, title] for title in sections]
    assert seen["search"] == {**searched(few), "no such thing": [[], "0 operations"]}


def test_browser_shows_every_operation_on_a_phone(shared: World) -> None:
    with served(shared) as url:
        seen = in_a_browser("whole.mjs", url)
    groups, operations = shown(COMMITTED)
    assert seen == {
        "errors": [],
        "linked": True,
        "found": [],
        "wider": 0,
        "groups": groups,
        "operations": operations,
        "search": searched(COMMITTED),
    }


def test_browser_draws_text_with_the_test_font_on_every_screen(shared: World, few: dict[str, Any]) -> None:
    with served(shared) as url:
        drawn = in_a_browser("drawn.mjs", url)
    assert list(drawn) == ["desktop light", "desktop dark", "phone light", "phone dark"]
    first = few["paths"]["/projects"]["get"]
    texts = {
        "title": few["info"]["title"],
        "group": few["tags"][0]["name"],
        "method": "GET",
        "path": "/projects",
        "summary": first["summary"],
        "button": "Authorize",
    }
    for screen, seen in drawn.items():
        assert {name: each["text"] for name, each in seen.items()} == texts, screen
        assert {name: each["fonts"] for name, each in seen.items()} == {name: ["Open Sans"] for name in texts}, screen
        # Letters cover a twentieth of a wide box, and a quarter of a tight one.
        assert {name: each["ink"] for name, each in seen.items() if not 0.03 < each["ink"] < 0.5} == {}, screen
