"""How much an answer may hold.

Lambda takes a bounded number of bytes of what a function returns, and what it returns is not the body: it is the JSON
of the whole answer, in which the body is a string. Each quote and each backslash of the body, which JSON text is full
of, costs one byte more there. The runtime for Python writes everything else as it is, in UTF-8.
"""

import json
from collections.abc import Mapping
from typing import Any

from atrium.settings import MAX_RETURNED_BYTES

# For what is around the items: the status, brackets, and the headers, of which API Gateway takes 10,240 bytes.
_AROUND = 16 * 1024


def cost(text: str) -> int:
    """The bytes of a JSON text as part of a function's answer."""
    return len(text.encode()) + text.count('"') + text.count("\\")


def fits(answer: Mapping[str, Any]) -> bool:
    """Whether Lambda takes an answer: its status, headers and body."""
    around = json.dumps({**answer, "body": ""}, ensure_ascii=False)
    return len(around.encode()) + cost(answer["body"]) <= MAX_RETURNED_BYTES


class Room:
    """The bytes of an answer that are left."""

    def __init__(self) -> None:
        self._left = MAX_RETURNED_BYTES - _AROUND

    def take(self, text: str) -> bool:
        """Whether the text, and a comma, still fits; if so, its place is taken."""
        needed = cost(text) + 1
        if needed > self._left:
            return False
        self._left -= needed
        return True
