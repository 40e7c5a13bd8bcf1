"""The room in an answer: Lambda limits the bytes that a function returns.

A function returns the JSON of the whole answer, in which the body is a string. Each quote and each backslash of the
body, of which JSON text is full, takes one byte more there. The runtime for Python writes all other characters as they
are, in UTF-8.
"""

import json
from collections.abc import Mapping
from typing import Any

from atrium.settings import MAX_RETURNED_BYTES

# Bytes around the items: the status, brackets, and the headers, of which API Gateway takes 10,240 bytes.
_AROUND = 16 * 1024


def cost(text: str) -> int:
    """The bytes of a JSON text as part of a function's answer."""
    return len(text.encode()) + text.count('"') + text.count("\\")


def fits(answer: Mapping[str, Any]) -> bool:
    """Whether Lambda takes an answer: its status, headers and body."""
    around = json.dumps({**answer, "body": ""}, ensure_ascii=False)
    return len(around.encode()) + cost(answer["body"]) <= MAX_RETURNED_BYTES


class Room:
    """The bytes that are left in an answer."""

    def __init__(self) -> None:
        self._left = MAX_RETURNED_BYTES - _AROUND

    def take(self, text: str) -> bool:
        """Takes room for the text and a comma. Returns whether they fit."""
        needed = cost(text) + 1
        if needed > self._left:
            return False
        self._left -= needed
        return True
