"""What goes in comes out: JSON documents through `description`, exactly or not at all."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atrium import documents
from tests.client import World
from tests.conftest import full

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
NUMBERS = (DIGITS | DECIMALS | st.sampled_from(["0", "-0", "1E5", "1e-130", "9.99e125", "0e999"])).map(documents.Raw)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXT, below, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.none() | TEXT | st.dictionaries(TEXT, VALUES, max_size=5)


@given(document=DOCUMENTS)
@settings(max_examples=full(2_000, 50_000), deadline=None)
def test_parsing_and_rendering_give_back_the_very_text(document: Any) -> None:
    text = documents.render(document)
    assert documents.render(documents.parse(text)) == text


@pytest.mark.timeout(1_200)
@given(document=DOCUMENTS)
@settings(max_examples=full(100, 1_000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_description_comes_back_as_it_was_sent(shared: World, document: Any) -> None:
    text = documents.render(document)
    created = shared("POST", shared.projects(), content=f'{{"name":"A","description":{text}}}'.encode())
    assert created.status == 201
    got = shared("GET", f"{shared.projects()}/{created.body['id']}")
    assert f'"description":{text}'.encode() in got.content
    json.loads(got.content)


@given(text=st.text(max_size=60) | st.text('{}[]",:\\0123eE.+-ut', max_size=60))
@settings(max_examples=full(5_000, 100_000), deadline=None)
def test_whatever_is_accepted_is_json_and_nothing_crashes(text: str) -> None:
    try:
        value = documents.parse(text)
    except documents.NotJson:
        return
    assert json.loads(documents.render(value)) == json.loads(text)


def test_a_string_that_never_ends_is_refused_at_once() -> None:
    """Were it retried from each of its quotes, this would take hours."""
    for hostile in ('"' + '\\"' * 120_000, "[" + '"\\' * 120_000, '"' * 240_001):
        with pytest.raises(documents.NotJson):
            documents.parse(hostile)


def test_32_levels_are_taken_and_33_are_not() -> None:
    assert documents.parse("[" * 32 + "]" * 32)
    with pytest.raises(documents.NotJson, match="JSON may be nested at most 32 levels deep"):
        documents.parse("[" * 33 + "]" * 33)
    assert documents.parse('["' + "[" * 100 + '"]') == ["[" * 100], "brackets in text do not count"
