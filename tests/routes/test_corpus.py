"""The hostile corpus against every route: refused in the route's dialect without a write or a leak, or accepted and
returned as sent.

A cell is an item of tests/support/corpus.py in one place of one route. `make test` sends every n-th cell, shifted from
place to place, so that each item and each place has its turn; `make prove` sends all. Each test prints its figures and
slowest cells.
"""

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import uuid4

import pytest

from atrium.api.paging import cursor_behind
from atrium.ids import new_id
from tests.support import corpus
from tests.support.attack import JSON, Attack, Target, attack_on, invalid
from tests.support.client import World
from tests.support.corpus import MARK
from tests.support.direct import direct
from tests.support.requests import EVERY_ROUTE, FOR_EVERYONE, PAGED, READS, TAKES_BODY, WRITES
from tests.support.world import Count, full

T = TypeVar("T")

AN_ID = re.compile(r"[0-9a-f]{24}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

READING = list(READS)


# ---------------------------------------------------------------- judging an answer


# ---------------------------------------------------------------- the cells


def cells(places: Iterable[T], items: Mapping[str, Any], step: int) -> Iterator[tuple[T, str]]:
    """Each place with each item; inside `make test` every n-th."""
    every = full(step, 1)
    seen_places, seen_items = set(), set()
    for offset, place in enumerate(places):
        for number, name in enumerate(items):
            if (number + offset) % every == 0:
                seen_places.add(offset)
                seen_items.add(name)
                yield place, name
    assert seen_places == set(range(offset + 1)), "each place has its turn"
    assert seen_items == set(items), "so has each item"


@pytest.fixture(scope="module")
def attacker(shared: World) -> Iterator[Attack]:
    """All tests' attack: its targets are made once."""
    with attack_on(shared) as made:
        yield made


@pytest.fixture
def attack(attacker: Attack, count: Count) -> Iterator[Attack]:
    attacker.failures, attacker.times = [], []
    for route in EVERY_ROUTE:
        attacker.target(route)
    yield attacker
    count(requests=len(attacker.times))


@contextmanager
def unchanged() -> Iterator[None]:
    table = direct()
    before = table.items()
    yield
    assert table.items() == before, "what is refused writes nothing"
    table.close()


# ---------------------------------------------------------------- bodies


def test_body_other_than_one_json_object_is_refused(attack: Attack) -> None:
    with unchanged():
        for route, name in cells(TAKES_BODY, corpus.NO_BODIES, 13):
            target = attack.target(route)
            content = corpus.NO_BODIES[name](target.content)
            status = 413 if len(content) > corpus.MAX_BODY else invalid(target)
            attack.refused(f"{route}, {name}", target, status, content=content)
        attack.judge()


def test_other_media_type_is_refused(attack: Attack) -> None:
    with unchanged():
        for route, name in cells(TAKES_BODY, corpus.MEDIA_TYPES, 3):
            target = attack.target(route)
            token = ("Authorization", f"Bearer {attack.world.principal('owner')['token']}")
            headers = [token, ("Content-Type", corpus.MEDIA_TYPES[name])]
            attack.refused(f"{route}, {name}", target, 415, instead=headers)
        attack.judge()


def test_json_in_utf_8_is_accepted_in_every_spelling(attack: Attack) -> None:
    ours = {name: [("Content-Type", kind)] for name, kind in corpus.OUR_MEDIA_TYPES.items()}
    ours |= {name: [*JSON, *coding] for name, coding in corpus.OUR_CODINGS.items()}
    for route, name in cells(TAKES_BODY, ours, 9):
        target = attack.target(route)
        token = ("Authorization", f"Bearer {attack.world.principal('owner')['token']}")
        answer = attack.answered(f"{route}, {name}", target, instead=[token, *ours[name]])
        if answer.status >= 300:
            attack.say(f"{route}, {name}", answer, "refused")
    attack.judge()


def test_content_coding_is_refused(attack: Attack) -> None:
    with unchanged():
        for route, name in cells(TAKES_BODY, corpus.CODINGS, 1):
            target = attack.target(route)
            cell, headers = f"{route}, {name}", corpus.CODINGS[name]
            for content in (target.content, gzip.compress(target.content, mtime=0)):
                attack.refused(cell, target, 415, content=content, headers=headers)
        told, gzipped = "Send the body as it is, without a Content-Encoding.", {"Content-Encoding": "gzip"}
        assert attack.world("POST", "/projects", {}, headers=gzipped).seen == (415, {"error": told})
        assert attack.world("POST", attack.world.projects(), {}, headers=gzipped).seen == (415, {"detail": told})
        attack.judge()


def test_odd_body_is_refused_or_accepted_unchanged(attack: Attack) -> None:
    for route, name in cells(TAKES_BODY, corpus.ODD_BODIES, 17):
        target = attack.target(route)
        attack.answered(f"{route}, {name}", target, content=corpus.ODD_BODIES[name](target.content))
    attack.judge()


def fields(attack: Attack) -> list[tuple[str, str]]:
    """Every field of every route."""
    return [(route, name) for route in TAKES_BODY for name in attack.target(route).body or {}]


def with_value(target: Target, name: str, value: str) -> bytes:
    """The target's body with JSON text as one field's value."""
    assert target.body is not None
    members = {key: json.dumps(old) for key, old in target.body.items()} | {name: value}
    return ("{" + ",".join(f'"{key}":{text}' for key, text in members.items()) + "}").encode()


def test_unstorable_field_value_is_refused(attack: Attack) -> None:
    with unchanged():
        for (route, place), name in cells(fields(attack), corpus.NO_VALUES, 13):
            target = attack.target(route)
            content = with_value(target, place, corpus.NO_VALUES[name])
            attack.refused(f"{route}.{place}, {name}", target, invalid(target), content=content)
        attack.judge()


# Fields of text that may be blank.
MAY_BE_BLANK = {"alternatives", "assignedTo", "email"}
_WITH_DESCRIPTIONS = ("V1UpdateProject", "V1CreateSpace", "V1UpdateSpace", "V1CreateWebhook", "V1UpdateWebhook")
OPTIONAL = {(route, "description") for route in _WITH_DESCRIPTIONS}


def test_invisible_text_in_a_required_field_is_refused(attack: Attack) -> None:
    texts = [
        (route, name)
        for route, name in fields(attack)
        if isinstance(attack.target(route).body[name], str)  # type: ignore[index]
        and name not in MAY_BE_BLANK
        and (route, name) not in OPTIONAL
    ]
    with unchanged():
        for (route, place), name in cells(texts, corpus.BLANKS, 4):
            target = attack.target(route)
            if place == "clientName" and route == "UpdateProject" and not json.loads(corpus.BLANKS[name]).strip():
                continue  # as it is: v1 made the project, without a client
            content = with_value(target, place, corpus.BLANKS[name])
            attack.refused(f"{route}.{place}, {name}", target, invalid(target), content=content)
        attack.judge()


def test_odd_field_value_is_refused_or_returned_as_sent(attack: Attack) -> None:
    for (route, place), name in cells(fields(attack), corpus.ODD_VALUES, 47):
        target = attack.target(route)
        content = with_value(target, place, corpus.ODD_VALUES[name])
        attack.answered(f"{route}.{place}, {name}", target, content=content)
    attack.judge()


# ---------------------------------------------------------------- headers


def test_odd_headers_cause_no_server_error(attack: Attack) -> None:
    for route, name in cells(EVERY_ROUTE, corpus.HEADERS, 45):
        target = attack.target(route)
        # Not all of the list, so that there is a link.
        path = target.path + ("?limit=1" if route in PAGED else "")
        answer = attack.answered(f"{route}, {name}", target, path=path, headers=corpus.HEADERS[name])
        if MARK in answer.headers.get("link", ""):
            attack.say(f"{route}, {name}", answer, "a header of the request is in a link")
    attack.judge()


def test_bad_idempotency_key_is_refused(attack: Attack) -> None:
    with unchanged():
        for route, name in cells(WRITES, corpus.NO_KEYS, 5):
            target = attack.target(route)
            attack.refused(f"{route}, {name}", target, invalid(target), headers=corpus.NO_KEYS[name])
        attack.judge()


def test_every_visible_key_is_accepted_and_replayed(attack: Attack) -> None:
    for route, name in cells(WRITES, corpus.KEYS, 12):
        target = attack.target(route)
        header = [("Idempotency-Key", corpus.KEYS[name].format(uuid4()))]
        first = attack.send(f"{route}, {name}", target, headers=header)
        second = attack.send(f"{route}, {name}, again", target, headers=header)
        if not (first.status < 300 and second.replayed and second.content == first.recorded):
            attack.say(f"{route}, {name}", second, "not replayed")
        attack.undo(target, first)
    attack.judge()


def test_bad_credential_is_refused_on_every_route(attack: Attack) -> None:
    secret = attack.world.principal("owner")["token"]
    with unchanged():
        for route, name in cells(EVERY_ROUTE, corpus.CREDENTIALS, 13):
            target = attack.target(route)
            headers = [*corpus.CREDENTIALS[name](secret), *JSON]
            attack.refused(f"{route}, {name}", target, 401, instead=headers, gateway=True)
        attack.judge()


# ---------------------------------------------------------------- paths and queries


def test_altered_id_names_no_other_resource(attack: Attack) -> None:
    places = [
        (route, place)
        for route in EVERY_ROUTE
        for place, segment in enumerate(attack.target(route).path.partition("?")[0].split("/"))
        if AN_ID.fullmatch(segment)
    ]
    with unchanged():
        for (route, place), name in cells(places, corpus.IDS, 23):
            target = attack.target(route)
            path, _, query = target.path.partition("?")
            segments = path.split("/")
            segments[place] = corpus.IDS[name](segments[place])
            statuses = (404, 422) if target.v1 else (404,)
            changed = "/".join(segments) + (query and f"?{query}")
            if changed.partition("?")[0].endswith("/"):
                continue  # the same as without the slash: the thing itself, or the list that it is in
            attack.refused(f"{route}[{place}], {name}", target, *statuses, path=changed, gateway=True)
        attack.judge()


def in_upper_case(path: str, body: Any) -> tuple[str, Any]:
    """The request with all its ids in upper case."""
    path, _, query = path.partition("?")
    path = "/".join(part.upper() if AN_ID.fullmatch(part) else part for part in path.split("/"))
    body = body and {
        name: value.upper() if isinstance(value, str) and AN_ID.fullmatch(value) else value
        for name, value in body.items()
    }
    return path + (query and f"?{query}"), body


@pytest.mark.parametrize("route", EVERY_ROUTE)
def test_an_id_in_upper_case_is_the_same_id(attack: Attack, route: str) -> None:
    """An Idempotency-Key treats them as the same request, and the answer has lower case."""
    target, headers = attack.target(route), {"Idempotency-Key": str(uuid4())}
    path, body = in_upper_case(target.path, target.body)
    content = None if body is None else json.dumps(body).encode()
    shouted = attack.world(target.method, path, headers=headers, content=content)
    spoken = attack.world(target.method, target.path, headers=headers, content=content and target.content)
    assert shouted.status < 300, shouted
    assert shouted.timeless == spoken.timeless
    assert spoken.replayed == (route in WRITES)
    attack.undo(target, spoken)


def test_odd_queries_cause_no_server_error(attack: Attack) -> None:
    with unchanged():
        for route, name in cells(READING, corpus.QUERIES, 16):
            target = attack.target(route)
            if target.method == "GET":
                path = target.path.partition("?")[0]
                answer = attack.send(f"{route}, {name}", target, path=f"{path}?{corpus.QUERIES[name]}")
                if answer.status == 200 and MARK.encode() in answer.content:
                    attack.say(f"{route}, {name}", answer, "gives the query back")
        attack.judge()


@pytest.mark.parametrize("route", EVERY_ROUTE)
def test_an_unknown_parameter_is_refused_by_v1_and_ignored_by_flat(attack: Attack, route: str) -> None:
    """On writing routes too: a client that sends `?dry_run=true` must not believe in a dry run."""
    target = attack.target(route)
    known = sorted(known_parameters(target))
    path = f"{target.path}{'&' if '?' in target.path else '?'}stauts=archived&%3Cb%3E=1"
    content = target.content or None
    if not target.v1:
        answer = attack.world(target.method, path, content=content)
        assert answer.status < 300, answer
        attack.undo(target, answer)
        return
    with unchanged():
        answer = attack.world(target.method, path, content=content)
    names = f"Known: {', '.join(known)}" if known else "None is known here"
    told = {"msg": f"Unknown parameter. {names}", "type": "extra_forbidden"}
    assert answer.seen == (422, {"detail": [{"loc": ["query", name], **told} for name in ("?", "stauts")]})


def known_parameters(target: Target) -> set[str]:
    found = {"limit", "cursor"} if target.route in PAGED else set()
    if re.fullmatch("V1List(Tasks|Datasets|Experiments|Decisions)", target.route):
        found.add("phase")
    if target.route == "V1ListDeliveries":
        found |= {"status", "since"}
    if target.route == "V1ListEvents":
        found |= {"type", "project_id", "space_id", "actor_id", "since", "until", "order"}
    if target.route == "V1ListPrincipals":
        found |= {"kind", "status", "external_id", "q"}
    if target.route == "V1DeleteCredential":
        found.add("issued")
    return found | ({"status"} if target.route == "V1ListProjects" else set())


def test_unknown_parameter_is_reported_with_other_errors(attack: Attack) -> None:
    answer = attack.world("GET", f"{attack.world.projects()}?limit=0&stauts=archived")
    limit = {"loc": ["query", "limit"], "msg": "Must be a whole number from 1 to 100", "type": "limit"}
    told = "Unknown parameter. Known: cursor, limit, status"
    unknown = {"loc": ["query", "stauts"], "msg": told, "type": "extra_forbidden"}
    assert answer.seen == (422, {"detail": [limit, unknown]})


def first_cursor(attack: Attack) -> str:
    page = attack.world("GET", f"{attack.world.projects()}?limit=1").body
    cursor: str = page["meta"]["next_cursor"]
    return cursor


def test_bad_cursor_is_refused_on_every_list(attack: Attack) -> None:
    real = first_cursor(attack)
    with unchanged():
        for route, name in cells(PAGED, corpus.NO_CURSORS, 9):
            target = attack.target(route)
            path = f"{target.path}?cursor={corpus.NO_CURSORS[name](real)}"
            attack.refused(f"{route}, {name}", target, invalid(target), path=path)
        attack.judge()


@pytest.mark.parametrize("route", PAGED)
def test_made_up_cursor_of_an_outsider_has_the_same_answer_as_none(attack: Attack, route: str) -> None:
    target = attack.target(route)
    elsewhere = attack.world.new_project(space="research")
    attack.world.new_member(elsewhere, "outsider", "viewer")
    well_formed = cursor_behind(new_id(), f"{target.path}?")
    for by, tenant in (("outsider", "acme"), ("owner", "globex")):
        plain = attack.world("GET", target.path, by=by, tenant=tenant)
        # The lists of events, principals and webhooks are those of the caller's own tenant.
        may = route in FOR_EVERYONE or (
            route in ("V1ListEvents", "V1ListPrincipals", "V1ListWebhooks") and tenant == "globex"
        )
        assert plain.status == (200 if may else 403 if tenant == "acme" else 404)
        for cursor in ("x", "", well_formed, well_formed[:-1], "x&cursor=y"):
            answer = attack.world("GET", f"{target.path}?cursor={cursor}", by=by, tenant=tenant)
            if not may:
                assert (answer.status, answer.content) == (plain.status, plain.content), cursor
            elif cursor != well_formed:
                assert answer.status == (422 if route.startswith("V1") else 400)
    assert attack.world("DELETE", elsewhere).status == 204


def test_well_formed_cursor_is_only_a_position(attack: Attack) -> None:
    """An unknown or early position too: the page has the items of this list behind it."""
    real = first_cursor(attack)
    for route, name in cells(PAGED, corpus.CURSORS, 3):
        target = attack.target(route)
        cursor = corpus.CURSORS[name](real, f"{target.path}?")
        answer = attack.send(f"{route}, {name}", target, path=f"{target.path}?cursor={cursor}")
        if answer.status != 200:
            continue
        whole = attack.world("GET", target.path + ("?limit=100" if target.v1 else "")).body
        found = answer.body["data"] if target.v1 else answer.body
        if not all(item in (whole["data"] if target.v1 else whole) for item in found):
            attack.say(f"{route}, {name}", answer, "shows what is not in the list")
    attack.judge()


def test_corpus_has_the_documented_size(count: Count) -> None:
    items = [
        item for name, family in vars(corpus).items() if name.isupper() and isinstance(family, dict) for item in family
    ]
    count(items=len(items))
    assert len(items) >= 400
