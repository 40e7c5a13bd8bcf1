"""The limits of an access token: length, encoding, subject, lifetime; and the configured figures."""

import time
from base64 import urlsafe_b64decode

import pytest

from atrium import access_tokens, issuer_keys
from atrium.issuer_keys import FETCH_TIMEOUT, FRESH_FOR, RETRY_AFTER, STALE_FOR, UNKNOWN_FOR
from local.issuer import Issuer
from tests.support.forgery import Forge
from tests.support.tokens import Published, at, tokens_of


def test_limits_have_the_documented_values() -> None:
    """The other tests take these values from the code."""
    assert (FETCH_TIMEOUT, RETRY_AFTER, UNKNOWN_FOR, FRESH_FOR, STALE_FOR) == (2.0, 30, 300, 600, 86_400)
    assert (issuer_keys.MAX_KEYS, issuer_keys._MAX_BYTES, issuer_keys._MIN_BITS) == (32, 65_536, 2_048)
    figures = access_tokens.MAX_LENGTH, access_tokens.MAX_NAME, access_tokens.MAX_LIFETIME, access_tokens.LEEWAY
    assert figures == (4_096, 255, 3_600, 30)


@pytest.mark.parametrize("form", ["QQ", "Qw", "QUE"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_each_part_of_a_token_has_one_encoding(form: str, place: int) -> None:
    """Base64 ignores two or four bits of the last digit, so a part has 4 or 16 possible encodings."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same = [
        form[:-1] + digit
        for digit in digits
        if urlsafe_b64decode(form[:-1] + digit + "==") == urlsafe_b64decode(form + "==")
    ]
    assert len(same) == (4 if len(form) == 3 else 16)
    taken = [access_tokens.is_compact(".".join(["QQ"] * place + [part] + ["QQ"] * (2 - place))) for part in same]
    assert [part for part, is_taken in zip(same, taken, strict=True) if is_taken] == [form]


@pytest.mark.parametrize("length", [1, 5, 9])
def test_part_with_an_impossible_length_is_refused(length: int) -> None:
    assert not access_tokens.is_compact(f"QQ.QQ.{'A' * length}")


def test_token_of_4096_characters_is_accepted_and_a_longer_one_refused() -> None:
    assert access_tokens.is_compact(f"QQ.QQ.{'QUFB' * 1_022}QQ")
    assert not access_tokens.is_compact(f"QQ.QQ.{'QUFB' * 1_022}QUE")


@pytest.mark.parametrize(("length", "taken"), [(0, False), (1, True), (255, True), (256, False), (300, False)])
def test_subject_of_1_to_255_characters_is_accepted(length: int, taken: bool) -> None:
    assert access_tokens.is_name("x" * length) == taken


@pytest.mark.parametrize(
    ("seconds", "taken"), [(-1, False), (0, False), (1, True), (2, True), (3_600, True), (3_601, False)]
)
def test_lifetime_of_1_to_3600_seconds_is_accepted(
    published: Published, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, seconds: int, taken: bool
) -> None:
    now = int(time.time())
    at(monkeypatch, now)
    token = Forge(issuer)(claims={"iat": now, "exp": now + seconds})
    assert (tokens_of(published).identity(token) is not None) == taken
