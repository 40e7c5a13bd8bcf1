"""The cache of an issuer's keys: fetches, rotation, and an issuer that is down or slow."""

import json
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from atrium import issuer_keys
from atrium.errors import Unavailable
from atrium.issuer_keys import FRESH_FOR, RETRY_AFTER, STALE_FOR
from local.issuer import ISSUER, Issuer
from tests.support.clock import NET
from tests.support.forgery import OWNER, Forge, encoded
from tests.support.tokens import Clock, Published, tokens_of
from tests.support.world import Count, full


def test_made_up_key_names_cause_one_fetch_in_30_seconds(
    published: Published, issuer: Issuer, clock: Clock, count: Count
) -> None:
    tokens = tokens_of(published)
    forge = Forge(issuer)
    names = full(1_000, 10_000)
    began = clock.now
    signed = forge().split(".")[1:]
    for number in range(names):
        clock.now = began + number * 300 / names
        header = encoded(json.dumps({"alg": "RS256", "typ": "at+jwt", "kid": f"made up {number}"}).encode())
        assert tokens.identity(".".join([header, *signed])) is None
    assert 1 < len(published.asked) <= 300 / RETRY_AFTER + 1
    count(names=names, fetches_in_five_minutes=len(published.asked))
    assert tokens.identity(issuer.token(OWNER)) == (ISSUER, OWNER)


def test_repeated_made_up_key_name_causes_no_second_fetch_for_a_while(
    published: Published, issuer: Issuer, clock: Clock
) -> None:
    tokens = tokens_of(published)
    retired = Forge(issuer)(header={"kid": "retired"})
    for _ in range(9):
        assert tokens.identity(retired) is None
        clock.now += RETRY_AFTER
    assert len(published.asked) == 1


def test_unknown_key_name_is_remembered_for_five_minutes(published: Published, issuer: Issuer, clock: Clock) -> None:
    tokens = tokens_of(published)
    began, fetches = clock.now, []
    for seconds, name in ((0, "a"), (40, "b"), (80, "a"), (120, "b"), (299, "a"), (301, "a"), (339, "b"), (341, "b")):
        clock.now = began + seconds
        assert tokens.identity(Forge(issuer)(header={"kid": name})) is None
        fetches.append(len(published.asked))
    assert fetches == [1, 2, 2, 2, 2, 3, 3, 4]


def test_new_key_is_found_after_the_issuer_is_up_again(
    published: Published, issuer: Issuer, clock: Clock, tmp_path: Path
) -> None:
    tokens = tokens_of(published)
    assert tokens.identity(issuer.token(OWNER))
    published.issuer = successor = Issuer(tmp_path)
    published.answer = published.down
    clock.now += RETRY_AFTER
    with pytest.raises(Unavailable):
        tokens.identity(successor.token(OWNER))
    published.answer = published.documents
    clock.now += RETRY_AFTER
    assert tokens.identity(successor.token(OWNER))


def test_rotation_accepts_the_new_key_and_refuses_the_old_one(
    published: Published, issuer: Issuer, clock: Clock, tmp_path: Path
) -> None:
    tokens = tokens_of(published)
    assert tokens.identity(issuer.token(OWNER))
    published.issuer = successor = Issuer(tmp_path)
    assert tokens.identity(successor.token(OWNER)) is None, "it was asked for just now"
    clock.now += RETRY_AFTER
    assert tokens.identity(successor.token(OWNER))
    assert tokens.identity(issuer.token(OWNER)) is None


def test_withdrawn_key_is_refused_after_ten_minutes(
    published: Published, issuer: Issuer, clock: Clock, tmp_path: Path
) -> None:
    tokens = tokens_of(published)
    assert tokens.identity(issuer.token(OWNER))
    published.issuer = Issuer(tmp_path)
    clock.now += FRESH_FOR - 1
    assert tokens.identity(issuer.token(OWNER))
    clock.now += 1
    assert tokens.identity(issuer.token(OWNER)) is None


def test_while_the_issuer_is_down_known_keys_are_accepted_for_a_day(
    published: Published, issuer: Issuer, clock: Clock
) -> None:
    tokens = tokens_of(published)
    assert tokens.identity(issuer.token(OWNER))
    published.answer = published.down
    began, asked = clock.now, len(published.asked)
    while clock.now < began + 3_600:
        clock.now += RETRY_AFTER
        assert tokens.identity(issuer.token(OWNER)), "an hour"
    assert len(published.asked) - asked <= 3_600 / RETRY_AFTER
    clock.now = began + STALE_FOR - 1
    assert tokens.identity(issuer.token(OWNER))
    with pytest.raises(Unavailable):
        tokens.identity(Forge(issuer)(header={"kid": "perhaps a new one"}))
    clock.now = began + STALE_FOR
    with pytest.raises(Unavailable):
        tokens.identity(issuer.token(OWNER))
    published.answer = published.documents
    clock.now += RETRY_AFTER
    assert tokens.identity(issuer.token(OWNER))


def test_hanging_issuer_is_unavailable_after_the_timeout(
    published: Published, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "FETCH_TIMEOUT", 0.2)
    released = threading.Event()

    def hang(path: str) -> tuple[int, bytes]:
        released.wait()
        return published.documents(path)

    published.answer = hang
    try:
        with pytest.raises(Unavailable):
            tokens_of(published).identity(issuer.token(OWNER))
    finally:
        released.set()


@pytest.mark.parametrize(("late", "taken"), [(-0.5, True), (0.0, False), (0.5, False)])
def test_document_after_the_deadline_is_refused(published: Published, clock: Clock, late: float, taken: bool) -> None:
    def answer(path: str) -> tuple[int, bytes]:
        clock.now += NET + late
        return published.documents(path)

    published.answer = answer
    with nullcontext() if taken else pytest.raises(TimeoutError):
        found = issuer_keys.fetched(f"{published.url}/keys", clock.now + NET)
        assert found == json.loads(published.issuer.jwks)


def test_aborted_connection_is_not_retried(published: Published, issuer: Issuer) -> None:
    def hang_up(path: str) -> tuple[int, bytes]:
        raise ConnectionAbortedError

    published.answer = hang_up
    with pytest.raises(Unavailable):
        tokens_of(published).identity(issuer.token(OWNER))
    assert published.asked == ["/keys"]


def test_keys_unused_for_two_days_are_too_old(published: Published, issuer: Issuer, clock: Clock) -> None:
    tokens = tokens_of(published)
    assert tokens.identity(issuer.token(OWNER))
    published.answer = published.down
    clock.now += 2 * STALE_FOR
    with pytest.raises(Unavailable):
        tokens.identity(issuer.token(OWNER))
