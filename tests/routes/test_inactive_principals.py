"""A suspended principal is refused by every route from its next request on, also where that was answered before."""

from tests.support.client import Answer, World, new_key
from tests.support.requests import EVERY_ROUTE, WRITES, a_project
from tests.support.rows import set_status
from tests.support.world import Count

INACTIVE = "The principal of this credential is suspended or deleted."


def require_refused(answer: Answer) -> None:
    assert answer.seen == (401, {"error": INACTIVE, "detail": INACTIVE})
    assert (answer.headers["x-error-code"], answer.headers["www-authenticate"]) == ("principal_inactive", "Bearer")
    assert not answer.replayed


def test_every_route_refuses_a_suspended_principal_until_it_is_active_again(world: World, count: Count) -> None:
    project = a_project(world)
    requests = {route: request(world, project) for route, request in EVERY_ROUTE.items()}
    set_status(world, "owner", "suspended")
    for method, path, body in requests.values():
        for key in (None, new_key()):
            require_refused(world(method, path, body, key=key))
            count(requests=1)
    set_status(world, "owner", "active")
    for route, (method, path, body) in requests.items():
        if method == "GET":
            assert world(method, path, body).status == 200, route


def test_kept_answers_are_given_to_an_active_principal_alone(world: World, count: Count) -> None:
    sent = []
    for request in WRITES.values():
        method, path, body = request(world, a_project(world))
        key = new_key()
        first = world(method, path, body, key=key)
        assert first.status < 300, (method, path, first)
        sent.append((method, path, body, key, first))
    set_status(world, "owner", "suspended")
    for method, path, body, key, _ in sent:
        require_refused(world(method, path, body, key=key))
        count(replays=1)
    set_status(world, "owner", "active")
    for method, path, body, key, first in sent:
        again = world(method, path, body, key=key)
        assert (again.status, again.content, again.replayed) == (first.status, first.content, True)
