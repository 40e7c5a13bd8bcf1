"""What text Atrium takes where."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_NAME = 200
MAX_TEXT = 10_000

# RFC 5321, 4.5.3.1.3, without the angle brackets; in UTF-8 still a sort key of less than 1,024 bytes.
MAX_EMAIL = 254

# How much of a name is searched for, and in how many places it is found.
MAX_SEARCHED = 100
_MAX_WORDS = 5

# Names stand on one line and are shown next to other text, so they hold no line breaks and nothing that reorders it.
_NOT_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def name_problem(text: str) -> tuple[str, str] | None:
    """What keeps a trimmed text from being a name: a word for programs and one for people."""
    if not text:
        return "string_too_short", "Must not be empty"
    if len(text) > MAX_NAME:
        return "string_too_long", f"Must have at most {MAX_NAME} characters"
    if _NOT_IN_NAMES.search(text):
        return "string_control", "Must not hold line breaks, control or bidirectional characters"
    return None


def _name(text: str) -> str:
    text = text.strip()
    if problem := name_problem(text):
        raise PydanticCustomError(*problem)
    return text


def _given(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("string_too_short", "Must not be empty")
    return text


# What JSON Schema can say of names and texts, and of every string of a document that is sent (atrium.documents).
_CONTROL, _BREAK = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f", r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
ANY_TEXT = {"type": "string", "pattern": rf"^[^{_CONTROL}]*$"}
_A_NAME = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_NAME,
    "pattern": rf"^\s*[^\s{_BREAK}]([^{_BREAK}]*[^\s{_BREAK}])?\s*$",
}
_A_TEXT = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_TEXT,
    "pattern": rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$",
}

# 1 to 200 characters on one line, trimmed.
Name = Annotated[str, Strict(), AfterValidator(_name), WithJsonSchema(_A_NAME)]

# Up to 10,000 characters; of a required one, not all blank.
OptionalText = Annotated[str, Strict(), Field(max_length=MAX_TEXT), WithJsonSchema({**ANY_TEXT, "maxLength": MAX_TEXT})]
Text = Annotated[OptionalText, AfterValidator(_given), WithJsonSchema(_A_TEXT)]


def searched(text: str) -> str:
    """How a text is compared when somebody looks for it: without case, its words one blank apart."""
    return " ".join(text.casefold().split())[:MAX_SEARCHED]


def findable(name: str) -> list[str]:
    """The beginnings by which a name is found: from each of its first words to the end."""
    words = name.split()
    return list(dict.fromkeys(searched(" ".join(words[place:])) for place in range(min(len(words), _MAX_WORDS))))
