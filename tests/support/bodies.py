"""Bodies of projects as bytes."""

import json
from typing import Any

from tests.support.requests import FLAT


def body(**changes: Any) -> bytes:
    """A v1 project that would be accepted but for the changes."""
    return json.dumps({"name": "Apollo", "description": None, **changes}).encode()


def flat(**changes: Any) -> bytes:
    return json.dumps({**FLAT, **changes}).encode()
