"""Bad input is refused in its dialect with a reason, and writes nothing."""

import json

import pytest

from tests.support.bodies import body
from tests.support.client import World, flat_path
from tests.support.requests import PAGED, READS, WRITES, a_project


@pytest.mark.parametrize(
    "limit", ["0", "101", "1001", "00001", "-1", "x", "1.5", "1e1", "", "+5", " 5", "1_0", "٣", "9" * 30]
)
def test_bad_limit_is_refused(shared: World, limit: str) -> None:
    refused = shared("GET", f"{shared.projects()}?limit={limit.replace('+', '%2B').replace(' ', '%20')}")
    told = {"loc": ["query", "limit"], "msg": "Must be a whole number from 1 to 100", "type": "limit"}
    assert refused.seen == (422, {"detail": [told]})
    if limit != "101":
        flat = shared("GET", f"/projects?limit={limit.replace('+', '%2B').replace(' ', '%20')}")
        assert flat.seen == (400, {"error": "limit: Must be a whole number from 1 to 1000"})


@pytest.mark.parametrize("cursor", ["x", "", "AAAA", "%00", "A" * 22, "é", "=" * 22, "Z" * 5000, "a b"])
def test_bad_cursor_is_refused(shared: World, cursor: str) -> None:
    refused = {
        "loc": ["query", "cursor"],
        "msg": "Must be the next_cursor of a page of this list, unchanged",
        "type": "cursor",
    }
    quoted = cursor.replace(" ", "%20")
    assert shared("GET", f"{shared.projects()}?cursor={quoted}").seen == (422, {"detail": [refused]})
    flat = shared("GET", f"/projects?cursor={quoted}")
    assert flat.seen == (400, {"error": "cursor: Must be the cursor of a Link header of this list, unchanged"})


def test_refusal_does_not_echo_the_request(shared: World) -> None:
    marker = "s3cr3t-marker"
    for sent in (
        body(name={marker: marker}),
        body(description=[marker]),
        json.dumps({"name": "a", f"<{marker}>": 1}).encode(),
        f'{{"name": "{marker}'.encode(),
        f'{{"name": "a", "status": "{marker}"}}'.encode(),
    ):
        for method, path in (("POST", shared.projects()), ("POST", "/projects")):
            answer = shared(method, path, content=sent)
            assert answer.status in (400, 422)
            assert marker.encode() not in answer.content
    for path in (f"/projects?limit={marker}", f"{shared.projects()}?status={marker}", f"/v1/spaces/{marker}/projects"):
        answer = shared("GET", path)
        assert answer.status in (400, 422)
        assert marker.encode() not in answer.content


BROKEN = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b'{"name":"a","name":"b"}',
    b'{"a":"\xff"}',
    b'{"name":"\\ud800"}',
    b'{"a":NaN}',
]


@pytest.mark.parametrize("route", [name for name in WRITES if "Delete" not in name and "Remove" not in name])
def test_broken_body_is_refused_on_every_route(shared: World, route: str) -> None:
    project = a_project(shared)
    method, path, good = WRITES[route](shared, project)
    before = shared("GET", f"{flat_path(project)}/report").body
    refused = 422 if path.startswith("/v1") else 400
    for content in BROKEN[1:] if good == {} else BROKEN:
        answer = shared(method, path, content=content, headers={"Content-Type": "application/json"})
        assert answer.status == refused, content
        assert set(answer.body) == ({"detail"} if refused == 422 else {"error"})
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"):
        assert shared(method, path, content=b"{}", headers={"Content-Type": media_type}).status == 415
    assert shared(method, path, content=b'{"x":"%s"}' % (b"x" * 262_144)).status == 413
    assert shared("GET", f"{flat_path(project)}/report").body == before


@pytest.mark.parametrize("route", PAGED)
def test_bad_limit_cursor_or_phase_is_refused_on_every_list(shared: World, route: str) -> None:
    _, path, _ = READS[route](shared, a_project(shared))
    refused = 422 if path.startswith("/v1") else 400
    for query in ("limit=0", "limit=1001", "limit=x", "limit=+5", "cursor=x", "cursor=", "cursor=%00"):
        assert shared("GET", f"{path}?{query}").status == refused, query
    if route.endswith(("Datasets", "Experiments", "Decisions")) or route == "V1ListTasks":
        for query in ("phase=", "phase=Business", "phase=%00"):
            assert shared("GET", f"{path}?{query}").status == refused, query
