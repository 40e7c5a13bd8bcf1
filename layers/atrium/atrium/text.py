"""What text Atrium takes where."""

import re
from typing import Annotated

from pydantic import AfterValidator, Strict
from pydantic_core import PydanticCustomError

MAX_NAME = 200

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


# 1 to 200 characters on one line, trimmed.
Name = Annotated[str, Strict(), AfterValidator(_name)]
