"""Random bodies, credentials, keys, versions and cursors cause no server error. No answer echoes input or has a shape
outside its dialect.
"""

import json
import random
import re
import string
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import corpus
from tests.support.attack import Attack, Target, attack_on, invalid
from tests.support.client import World
from tests.support.corpus import MARK
from tests.support.requests import EVERY_ROUTE, PAGED, TAKES_BODY
from tests.support.trace import Trace
from tests.support.world import Count, full

# Short texts, so that only the other edits make a body wrong.
VALUES = [text for text in (corpus.NO_VALUES | corpus.ODD_VALUES).values() if len(text) < 200]
TOKENS = [
    *VALUES,
    *'{}[]:,"\\',
    *("\\u", "\\ud83d", "\\u0000", "\x00", "\x7f", "\u2028", "é", "😀", "\ufeff", "e", "E+", "-", ".", "//", "/*"),
    *(f'"{MARK}":1,', f',"{MARK}":', '{"a":', '[{"a":', "}}", "]]", "null", "true", "NaN", "1e999"),
]
TEXTS = re.compile(
    "name|projectName|clientName|description|source|algorithm.*|parameters|metric|result|conclusion|justification|"
    "alternatives|content"
)

# An edit: the operation, place, amount and text.
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["insert", "replace", "remove", "double", "move"]),
        st.integers(0, 2_000),
        st.integers(0, 30),
        st.sampled_from(TOKENS) | st.text(max_size=5) | st.characters(),
    ),
    min_size=1,
    max_size=4,
)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=5,
)
FIELD = st.tuples(st.integers(0, 20), st.sampled_from(VALUES) | JSON_VALUES.map(json.dumps))
BODIES: st.SearchStrategy[Callable[[str], bytes]] = (
    EDITS.map(lambda edits: lambda text: edited(text, edits).encode(errors="surrogatepass"))
    | EDITS.map(lambda edits: lambda text: edited_bytes(text, edits))
    | st.lists(FIELD, min_size=1, max_size=3).map(lambda fields: lambda text: with_fields(text, fields))
    | st.binary(max_size=60).map(lambda raw: lambda _: raw)
    | st.text(max_size=60).map(lambda raw: lambda _: raw.encode())
    | JSON_VALUES.map(lambda value: lambda _: json.dumps(value).encode())
)

slow = settings(suppress_health_check=list(HealthCheck))


def edited(text: str, edits: list[tuple[str, int, int, str]]) -> str:
    for kind, where, size, token in edits:
        place = where % (len(text) + 1)
        piece, behind = text[place : place + size], text[place + size :]
        changed = {
            "insert": token + piece,
            "replace": token,
            "remove": "",
            "double": piece + piece,
            "move": piece[::-1],
        }[kind]
        text = text[:place] + changed + behind
    return text


def edited_bytes(text: str, edits: list[tuple[str, int, int, str]]) -> bytes:
    """The same at any byte, even within a character."""
    latin = [
        (kind, where, size, token.encode(errors="surrogatepass").decode("latin-1"))
        for kind, where, size, token in edits
    ]
    return edited(text.encode().decode("latin-1"), latin).encode("latin-1")


def with_fields(text: str, fields: list[tuple[int, str]]) -> bytes:
    """Some fields with other values; beyond the last field, under a new name."""
    members = {json.dumps(name): json.dumps(value, ensure_ascii=False) for name, value in json.loads(text).items()}
    for place, value in fields:
        names = [*members, f'"{MARK}"']
        members[names[place % len(names)]] = value
    return ("{" + ",".join(f"{name}:{value}" for name, value in members.items()) + "}").encode(errors="surrogatepass")


@pytest.fixture(scope="module")
def attack(shared: World) -> Iterator[Attack]:
    with attack_on(shared) as made:
        for route in EVERY_ROUTE:
            made.target(route)
        yield made


def marked(target: Target) -> str:
    """The target's body, with the mark in each of its texts."""
    body = {
        name: f"{MARK} {value}" if TEXTS.fullmatch(name) and isinstance(value, str) else value
        for name, value in (target.body or {}).items()
    }
    return json.dumps(body, ensure_ascii=False)


@pytest.mark.timeout(3_600)
def test_random_body_causes_no_server_error(attack: Attack, count: Count) -> None:
    @given(route=st.sampled_from(TAKES_BODY), body=BODIES)
    @settings(slow, max_examples=full(400, 100_000))
    def attempt(route: str, body: Callable[[str], bytes]) -> None:
        target = attack.target(route)
        attack.failures = []
        answer = attack.send(route, target, content=body(marked(target)))
        count(bodies=1)
        if answer.status < 300 and route != "FindTeamMember":
            count(taken=1)
            attack.undo(target, answer)
        assert attack.failures == []

    attempt()


SECRETS = EDITS.map(lambda edits: lambda secret: edited(secret, edits)) | st.text(max_size=80).map(
    lambda text: lambda _: text
)
HEADERS = st.sampled_from(["Bearer {}", "bearer  {}", "Basic {}", "{}", "Bearer {} ", "Bearer {0},{0}"])


@pytest.mark.timeout(3_600)
def test_random_credential_is_refused(attack: Attack) -> None:
    secret = attack.world.principal("owner")["token"]

    @given(route=st.sampled_from(sorted(EVERY_ROUTE)), made=SECRETS, form=HEADERS, both=st.booleans())
    @settings(slow, max_examples=full(150, 50_000))
    def attempt(route: str, made: Callable[[str], str], form: str, both: bool) -> None:
        text = made(secret)
        if text.strip(" \t") == secret:
            return
        attack.failures = []
        headers = [("Authorization", form.format(text))] if both else [("X-API-Key", text)]
        attack.refused(route, attack.target(route), 401, instead=headers, gateway=True)
        assert attack.failures == []

    attempt()


@pytest.mark.timeout(3_600)
def test_mistyped_credential_costs_no_read_of_the_table(traced: tuple[World, Trace], count: Count) -> None:
    """One or two typing errors or a missing piece, which the checksum detects."""
    world, trace = traced
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    secrets = [world.principal("owner")[kind] for kind in ("token", "api_key")]
    trace.clear()
    seen = 0
    while seen < full(1_000, 200_000):
        secret = dice.choice(secrets)
        typo = secret
        for _ in range(dice.randint(1, 2)):
            typo = mistyped(typo, dice)
        if typo == secret:
            continue
        seen += 1
        header = ("X-API-Key", typo) if seen % 2 else ("Authorization", f"Bearer {typo}")
        assert world.raw("GET", "/v1/me", [header]).status == 401, typo
    assert trace.calls == []
    count(typing_errors=seen)


def mistyped(text: str, dice: random.Random) -> str:
    if len(text) < 2:
        return text + "x"
    place = dice.randrange(len(text) - 1)
    before, character, behind = text[:place], text[place], text[place + 1 :]
    return dice.choice(
        [
            before + dice.choice(string.ascii_letters + string.digits) + behind,
            before + dice.choice(string.ascii_letters + string.digits) + character + behind,
            before + behind,
            before + character + character + behind,
            before + behind[0] + character + behind[1:],
            before + character.swapcase() + behind,
            before
            + {"0": "O", "O": "0", "l": "1", "1": "l", "I": "l", "5": "S", "u": "v"}.get(character, "x")
            + behind,
            text[: dice.randint(1, len(text) - 1)],
            text[dice.randint(1, len(text) - 1) :],
            dice.choice([text.upper(), text.lower(), text.swapcase(), text.title()]),
        ]
    )


KEYS = (
    st.text(max_size=12)
    | st.text(string.printable, max_size=12)
    | st.text(string.ascii_letters, min_size=250, max_size=260)
)


@pytest.mark.timeout(3_600)
def test_idempotency_key_outside_visible_ascii_is_refused(attack: Attack) -> None:
    @given(route=st.sampled_from(["V1UpdateProject", "UpdateProject"]), key=KEYS)
    @settings(slow, max_examples=full(150, 10_000))
    def attempt(route: str, key: str) -> None:
        target = attack.target(route)
        attack.failures = []
        bare = key.strip(" \t")
        bare = bare[1:-1] if len(bare) > 1 and bare[0] == bare[-1] == '"' else bare
        good = 1 <= len(bare) <= 255 and all("!" <= character <= "~" for character in bare)
        headers = [("Idempotency-Key", key)]
        attack.refused(route, target, 200 if good else invalid(target), headers=headers)
        assert attack.failures == []

    attempt()


TAGS = st.lists(
    st.sampled_from(['"', "W/", "*", ",", " ", "1", "0", '"1"', 'W/"1"', '""', "'", "\\", MARK, "é", "☃", "\x00"])
    | st.text(max_size=3),
    max_size=6,
).map("".join)


@pytest.mark.timeout(3_600)
def test_if_match_other_than_star_or_tags_is_refused(attack: Attack) -> None:
    """The version is unknown, so every well-formed header is 412. A list may have empty elements, and tags may have
    commas."""
    tag = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')

    @given(route=st.sampled_from(["V1UpdateProject", "UpdateProject", "V1UpdateTask", "DeleteDataset"]), value=TAGS)
    @settings(slow, max_examples=full(150, 10_000))
    def attempt(route: str, value: str) -> None:
        target = attack.target(route)
        attack.failures = []
        value = value.replace("1", "x")
        if value.strip(" \t") == "*":
            return
        between = tag.sub("tag", value)
        parts = [part.strip(" \t") for part in between.split(",")]
        good = "tag" in parts and set(parts) <= {"tag", ""}
        attack.refused(route, target, 412 if good else invalid(target), headers=[("If-Match", value)])
        assert attack.failures == []

    attempt()


CURSORS = st.text(max_size=30) | st.text(string.ascii_letters + string.digits + "-_=", min_size=20, max_size=24)
CHANGED = EDITS.map(lambda edits: lambda cursor: edited(cursor, edits))


@pytest.mark.timeout(3_600)
def test_random_cursor_is_refused(attack: Attack) -> None:
    first = attack.world("GET", f"{attack.world.projects()}?limit=1").body
    real = first["meta"]["next_cursor"]

    @given(route=st.sampled_from(PAGED), made=CHANGED | CURSORS.map(lambda text: lambda _: text))
    @settings(slow, max_examples=full(200, 20_000))
    def attempt(route: str, made: Callable[[str], str]) -> None:
        target = attack.target(route)
        attack.failures = []
        cursor = made(real)
        if cursor != real:
            path = f"{target.path}?cursor={quote(cursor, safe='', errors='replace')}"
            attack.refused(route, target, invalid(target), path=path)
        assert attack.failures == []

    attempt()
