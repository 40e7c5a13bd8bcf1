"""The message of a refusal has no word of the other dialect."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import RECORDS, Answer, World, flat_path, in_camel_case
from tests.support.requests import FLAT, WRITES, a_project

# Names of fields that have underscores in v1 and capitals in flat, and routes.
FOREIGN = {
    "flat": re.compile(r"[a-z]_[a-z]|/v1|\bPATCH\b|\bUUID|next_cursor|\bstatus\b|manager_id|\bprincipal\b"),
    "v1": re.compile(r"[a-z][A-Z]|(?<![\w}])/projects|\bPUT\b|hex digits|\bLink\b|\b_id\b"),
}
# The values of a task's status are the same in both dialects.
VALUES = re.compile(r"'\w+'|Idempotency-Key|If-None-Match|If-Match|Content-Type")


def archived(world: World, project: str) -> None:
    assert world("PATCH", project, {"status": "archived"}).status == 200


def wrong(sent: Any) -> dict[str, Any]:
    """A body in which everything is wrong."""
    return {name: {"no": "good"} for name in sent} | {"id": "x", "role_id": "x", "assigned_to": "x", "assignedTo": "x"}


# For each refusal: the preparation of the project, and the request.
Way = Callable[[World, str, tuple[str, str, Any]], Answer]


def on_archived(world: World, project: str, request: tuple[str, str, Any]) -> Answer:
    archived(world, project)
    return world(*request)


WAYS: dict[str, Way] = {
    "archived": on_archived,
    "a viewer": lambda w, _, request: w(*request, by="viewer"),
    "an outsider": lambda w, _, request: w(*request, by="outsider"),
    "another tenant": lambda w, _, request: w(*request, tenant="globex"),
    "another version": lambda w, _, request: w(*request, headers={"If-Match": '"x"'}),
    "no tag": lambda w, _, request: w(*request, headers={"If-Match": "x"}),
    "a bad key": lambda w, _, request: w(*request, key="a b"),
    "nothing sent": lambda w, _, request: w(request[0], request[1], {}),
    "all wrong": lambda w, _, request: w(request[0], request[1], wrong(request[2] or {})),
    "no JSON": lambda w, _, request: w(request[0], request[1], content=b"{"),
    "another type": lambda w, _, request: w(request[0], request[1], content=b"x", headers={"Content-Type": "text/x"}),
    "twice": lambda w, _, request: [w(*request), w(*request)][1],
}


def text(answer: Answer) -> str:
    """The message without field names and values."""
    told = answer.body.get("error") or answer.body["detail"]
    if isinstance(told, list):
        told = "; ".join(detail["msg"] for detail in told)
    return VALUES.sub("", re.sub(r"(^|; )\w+: ", "; ", told))


@pytest.fixture(scope="module")
def requests() -> dict[str, tuple[str, Any]]:
    """By route a project, and a request about it that has not succeeded yet."""
    return {}


@pytest.mark.parametrize("way", WAYS)
def test_no_message_has_a_word_of_the_other_dialect(
    shared: World, requests: dict[str, tuple[str, Any]], way: str
) -> None:
    refused = 0
    for route, make in WRITES.items():
        if route not in requests:
            project = a_project(shared)
            requests[route] = project, make(shared, project)
        answer = WAYS[way](shared, *requests[route])
        # The next way needs another project where this one was changed.
        if answer.status < 400 or way in ("archived", "twice"):
            del requests[route]
        if answer.status >= 400:
            refused += 1
            found = FOREIGN["v1" if route.startswith("V1") else "flat"].search(text(answer))
            assert found is None, (route, text(answer))
    assert refused


def test_flat_messages_name_flat_remedies(shared: World) -> None:
    """The messages about an archived project, its manager and an existing member."""
    project = a_project(shared)
    flat, team = flat_path(project), f"{flat_path(project)}/team"
    manager = shared("DELETE", f"{team}/{shared.id('owner')}")
    assert manager.seen == (409, {"error": "This user is the project's manager, who cannot be removed."})
    twice = shared("POST", team, {"id": shared.id("viewer")})
    assert twice.seen == (400, {"error": "This user is a member of the project already."})
    archived(shared, project)
    refused = (409, {"error": "The project is archived: it can be read and deleted, but not changed."})
    assert shared("PUT", flat, FLAT).seen == refused
    assert shared("POST", f"{flat}/tasks", in_camel_case(RECORDS["tasks"])).seen == refused
    assert shared("GET", flat).status == shared("DELETE", flat).status == 200


def test_v1_messages_name_v1_remedies(shared: World) -> None:
    project = a_project(shared)
    member = f"{project}/members/{shared.uuid('owner')}"
    named = "This member is the project's manager. Hand the project over first: PATCH its manager_id."
    assert shared("DELETE", member).seen == (409, {"detail": named})
    archived(shared, project)
    told = "The project is archived. Set its status to active first."
    assert shared("PATCH", project, {"name": "B"}).seen == (409, {"detail": told})
