"""Strict JSON: a document comes back exactly as it was sent, or is refused.

`json` and every fast parser accept duplicate keys, and most of them round numbers, or accept NaN or lone surrogates.
Here numbers keep their spelling and keys their order, and a text that could not come back as it was sent is refused
with a reason.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring
from typing import Any, NoReturn

from atrium.settings import MAX_DEPTH

# DynamoDB's own limits for a number: 38 significant digits, magnitudes from 1E-130 to under 1E126.
MAX_DIGITS = 38
MIN_EXPONENT, MAX_EXPONENT = -130, 125
_RANGE = f"Numbers may be from 1E{MIN_EXPONENT} to under 1E{MAX_EXPONENT + 1}"

# A string without an end matches too. Tried again from each of its quotes, a hostile document would take minutes.
_TOKENS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
# Tab, line feed and carriage return are text; the other C0 and C1 controls, DEL and lone surrogates are not.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class NotJson(ValueError):
    """The text is not JSON that Atrium accepts. The message says why, without a quotation of the text."""


class Number(Decimal):
    """A number that keeps its spelling, so that 1.10 comes back as 1.10."""

    text: str

    def __new__(cls, text: str) -> "Number":
        number = super().__new__(cls, text)
        number.text = text
        return number


class Raw(str):
    """JSON text, which is rendered as it is."""

    __slots__ = ()


def parse(text: str) -> Any:
    """The value of a JSON text: dict, list, str, bool, None, int, or Number. Raises NotJson."""
    _refuse_depth(text)
    try:
        value = json.loads(
            text,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as error:
        raise NotJson(f"Invalid JSON at character {error.pos}: {error.msg}") from None
    _refuse_text(value)
    return value


def render(value: Any) -> str:
    """The compact JSON text of a parsed value, with numbers in their spelling."""
    match value:
        case Raw():
            return value
        case str():
            return encode_basestring(value)
        case dict():
            return "{" + ",".join(f"{encode_basestring(key)}:{render(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(render, value)) + "]"
        case Number():
            return value.text
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case _:
            return json.dumps(value)


def canonical(value: Any) -> str:
    """A text that is the same for every order of keys: for comparing two bodies, not for storing one."""
    match value:
        case dict():
            return "{" + ",".join(f"{encode_basestring(key)}:{canonical(value[key])}" for key in sorted(value)) + "}"
        case list():
            return "[" + ",".join(map(canonical, value)) + "]"
        case _:
            return render(value)


def is_text(value: str) -> bool:
    """Whether a string holds only characters that a document may hold."""
    return _FORBIDDEN.search(value) is None


def _integer(text: str) -> int | Number:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise NotJson(f"Numbers may have at most {MAX_DIGITS} digits")
    return Number(text) if text == "-0" else int(text)


def _number(text: str) -> Number:
    try:
        number = Number(text)
    except InvalidOperation:  # an exponent beyond Decimal's own
        raise NotJson(_RANGE) from None
    if len(number.as_tuple().digits) > MAX_DIGITS:
        raise NotJson(f"Numbers may have at most {MAX_DIGITS} digits")
    # A zero has an exponent too.
    if not MIN_EXPONENT <= number.adjusted() <= MAX_EXPONENT:
        raise NotJson(_RANGE)
    return number


def _constant(_: str) -> NoReturn:
    raise NotJson("NaN and Infinity are not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotJson("A key stands twice in an object")
    return value


def _refuse_depth(text: str) -> None:
    """Raises NotJson for nesting that is too deep, before json would raise RecursionError."""
    depth = 0
    for token in _TOKENS.finditer(text):
        bracket = token[0]
        if bracket in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise NotJson(f"JSON may be nested at most {MAX_DEPTH} levels deep")
        elif bracket in "]}":
            depth -= 1


def _refuse_text(value: Any) -> None:
    match value:
        case str():
            if not is_text(value):
                raise NotJson("Text may not hold control characters or lone surrogates")
        case dict():
            for key, item in value.items():
                _refuse_text(key)
                _refuse_text(item)
        case list():
            for item in value:
                _refuse_text(item)
        case _:
            pass
