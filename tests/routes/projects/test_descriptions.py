"""JSON documents in `description` are returned exactly as sent, or refused."""

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atrium import documents
from atrium.settings import MAX_DEPTH
from atrium.store.projects import MAX_DESCRIPTION_BYTES
from tests.support.client import Answer, World, flat_path
from tests.support.world import Count, full

# All of Unicode that a document may hold.
TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n\r"),
    max_size=30,
)
DIGITS = st.integers(-(10**38) + 1, 10**38 - 1).map(str)
DECIMALS = st.tuples(
    st.sampled_from(["", "-"]),
    st.integers(0, 9),
    st.text("0123456789", min_size=1, max_size=37),
    st.sampled_from(["", "e5", "E-7", "e+12", "E100", "e-100"]),
).map(lambda parts: f"{parts[0]}{parts[1]}.{parts[2]}{parts[3]}")
NUMBERS = (DIGITS | DECIMALS | st.sampled_from(["0", "-0", "1E5", "1e-130", "9.99e125", "0e125"])).map(documents.Raw)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXT, below, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.none() | TEXT | st.dictionaries(TEXT, VALUES, max_size=5)


@given(document=DOCUMENTS)
@settings(max_examples=full(500, 50_000))
def test_parsing_and_rendering_keep_the_text(document: Any) -> None:
    text = documents.render(document)
    assert documents.render(documents.parse(text)) == text


@pytest.mark.timeout(1_200)
@given(document=DOCUMENTS)
@settings(max_examples=full(40, 1_000), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_description_is_returned_as_sent(shared: World, document: Any) -> None:
    text = documents.render(document)
    created = shared("POST", shared.projects(), content=f'{{"name":"A","description":{text}}}'.encode())
    assert created.status == 201
    got = shared("GET", f"{shared.projects()}/{created.body['id']}")
    assert f'"description":{text}'.encode() in got.content
    json.loads(got.content)


# ---------------------------------------------------------------- many in one request

FORBIDDEN = [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000)]
ALLOWED = sorted(set(range(0x110000)) - set(FORBIDDEN))


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def a_text(dice: random.Random) -> str:
    """A JSON text of some of Unicode: one plane's scalars in their proportion would be all that is ever met."""
    alphabets = ALLOWED, ALLOWED[:95], ALLOWED[:0x3000], [0x09, 0x0A, 0x0D, 0x22, 0x2F, 0x5C, 0x7B, 0x7D]
    return quoted("".join(map(chr, dice.choices(dice.choice(alphabets), k=dice.randrange(20)))))


def a_number(dice: random.Random) -> str:
    """With up to 38 digits, spelled in one of many ways."""
    digits = "".join(dice.choices("0123456789", k=dice.randint(1, 38)))
    point = dice.randint(1, len(digits))
    whole, part = digits[:point].lstrip("0") or "0", digits[point:]
    exponent = dice.choice(["", "", "e0", "E5", "e+10", "e-12", "E-80", "e80"])
    return dice.choice(["", "-"]) + whole + (part and f".{part}") + exponent


def a_document(dice: random.Random, levels: int) -> str:
    """The text of a JSON value, as Atrium writes it, with at most so many levels."""
    kind = dice.randrange(6 if levels else 4)
    if kind < 4:
        return (a_text, a_number, a_text, lambda dice: dice.choice(["null", "true", "false"]))[kind](dice)
    # Narrow where it is deep: some reach the limit.
    size = dice.choice([0, 1, 1, 2, 4]) if dice.random() < 0.3 else 1
    below = [a_document(dice, levels - 1) for _ in range(size)]
    if kind == 4:
        return "[" + ",".join(below) + "]"
    return "{" + ",".join(f"{key}:{value}" for key, value in {a_text(dice): value for value in below}.items()) + "}"


def a_deep_document(dice: random.Random, levels: int) -> str:
    """A document with exactly this number of levels."""
    text = a_document(dice, 0)
    for _ in range(levels):
        text = dice.choice(["[{}]", '{{"a":{}}}', "[1.0,{}]", '{{"b":0,"c":{}}}']).format(text)
    return text


def packed(texts: Iterable[str], most: int) -> Iterator[list[str]]:
    """The texts in packs of at most so many bytes of UTF-8, with the ten bytes that each takes beside itself."""
    pack: list[str] = []
    size = 2
    for text in texts:
        taken = len(text.encode()) + 10
        if size + taken > most:
            yield pack
            pack, size = [], 2
        pack.append(text)
        size += taken
    yield pack


def describe(world: World, project: str, description: str) -> Answer:
    return world("PATCH", project, content=f'{{"description":{description}}}'.encode())


def description_of(world: World, project: str) -> str:
    """The text of a v1 project's description."""
    content = world("GET", project).content.decode()
    return content[content.index('"description":') + len('"description":') : -1]


def escaped(text: str) -> str:
    """The same document in ASCII, with blanks around its parts."""
    return "\n " + re.sub("[^\x00-\x7e]+", lambda found: json.dumps(found[0])[1:-1], text) + "\t"


def test_many_documents_are_returned_as_sent(shared: World, count: Count) -> None:
    """Requests have the text itself or escapes for characters outside ASCII; answers have the text itself."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    project = shared.new_project()
    # The body and the description take two of the levels.
    deepest = MAX_DEPTH - 2

    def documents_of(number: int) -> Iterator[str]:
        for position in range(number):
            yield a_deep_document(dice, deepest) if position % 50 == 0 else a_document(dice, deepest)

    seen = 0
    for number, pack in enumerate(packed(documents_of(full(5_000, 50_000)), MAX_DESCRIPTION_BYTES)):
        sent = "{" + ",".join(f'"{key}":{text}' for key, text in enumerate(pack)) + "}"
        answer = describe(shared, project, (str, escaped)[number % 2](sent))
        assert answer.status == 200, answer
        got = description_of(shared, project)
        if got != sent:
            for key, text in enumerate(pack):
                assert f'"{key}":{text}' in got, text
        assert got == sent
        seen += len(pack)
    assert seen == full(5_000, 50_000)
    count(documents=seen)


def test_every_allowed_unicode_scalar_is_returned(shared: World) -> None:
    """Each scalar once as text and in a key; every second pack with escapes, under `make prove` all packs both ways."""
    project = shared.new_project()
    scalars = (quoted(chr(scalar))[1:-1] for scalar in ALLOWED)
    seen = 0
    for number, pack in enumerate(iter(lambda: list(islice(scalars, 7_000)), [])):
        text = "".join(pack)
        sent = f'{{"a":"{text}"}}' if number % 2 else f'{{"{text}":1}}'
        ways = full(1, 2)
        for spelling in ((str, escaped), (escaped, str))[number // 2 % 2][:ways]:
            answer = describe(shared, project, spelling(sent))
            assert answer.status == 200, (number, answer)
            assert description_of(shared, project) == sent, number
        seen += len(pack)
    assert seen == 0x110000 - len(FORBIDDEN) == 1_112_064 - 62


def test_flat_text_is_returned_as_sent(shared: World) -> None:
    """All allowed scalars in pieces of up to 10,000 characters; some of the pieces under `make test`."""
    project = flat_path(shared.new_project())
    for start in range(0, len(ALLOWED), 9_990):
        if start // 9_990 % full(6, 1):
            continue
        # White space alone is no description.
        text = "x" + "".join(map(chr, ALLOWED[start : start + 9_990]))
        if len(quoted(text).encode()) > MAX_DESCRIPTION_BYTES - 20:
            text = text[:7_900]
        body = {"projectName": "A", "clientName": "B", "description": text}
        answer = shared("PUT", project, content=json.dumps(body, ensure_ascii=start % 2 == 0).encode())
        assert (answer.status, answer.body["description"]) == (200, text)
        assert shared("GET", project).body["description"] == text


PLACES: dict[str, Callable[[str], str]] = {
    "text": lambda text: f'{{"description":"a{text}b"}}',
    "a key": lambda text: f'{{"description":{{"{text}":1}}}}',
    "text far below": lambda text: f'{{"description":{{"a":[[{{"b":"{text}"}}]]}}}}',
    "a name": lambda text: f'{{"name":"a{text}b"}}',
}


@pytest.mark.parametrize("place", PLACES)
def test_every_forbidden_unicode_scalar_is_refused(shared: World, place: str) -> None:
    """As an escape and as bytes; a surrogate as the three bytes of its UTF-8 form."""
    project = shared.new_project()
    before = shared("GET", project)
    for scalar in FORBIDDEN[:62] + FORBIDDEN[62 :: full(16, 1)]:
        for text in (f"\\u{scalar:04x}", chr(scalar)):
            sent = PLACES[place](text).encode(errors="surrogatepass")
            for method, path in (("PATCH", project), ("PUT", flat_path(project))):
                assert shared(method, path, content=sent).status == (422 if method == "PATCH" else 400), (scalar, text)
    after = shared("GET", project)
    assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])


# ---------------------------------------------------------------- the parser


@given(text=st.text(max_size=60) | st.text('{}[]",:\\0123eE.+-ut', max_size=60))
@settings(max_examples=full(1_500, 100_000))
def test_accepted_input_is_valid_json(text: str) -> None:
    try:
        value = documents.parse(text)
    except documents.NotJson:
        return
    assert json.loads(documents.render(value)) == json.loads(text)


def test_unterminated_string_is_refused_at_once() -> None:
    """A parser that retries from each quote would take hours."""
    for hostile in ('"' + '\\"' * 120_000, "[" + '"\\' * 120_000, '"' * 240_001):
        with pytest.raises(documents.NotJson):
            documents.parse(hostile)


def test_32_levels_are_accepted_and_33_refused() -> None:
    assert documents.parse("[" * 32 + "]" * 32)
    with pytest.raises(documents.NotJson, match="JSON may be nested at most 32 levels deep"):
        documents.parse("[" * 33 + "]" * 33)
    assert documents.parse('["' + "[" * 100 + '"]') == ["[" * 100], "brackets in text do not count"
