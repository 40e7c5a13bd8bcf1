"""The difference between the answer of the model and the answer of the API."""

from typing import Any

from tests.model.state import Shown
from tests.support.client import Like


def differences(expected: Any, shown: Any, where: str = "") -> str:
    """The place of the first difference and both values; "" without one."""
    if isinstance(expected, Shown):
        return "" if expected.is_shown_as(shown) else f"{where}: {shown} for {type(expected).__name__} {vars(expected)}"
    if isinstance(expected, Like):
        return "" if expected == shown else f"{where}: {shown!r} for {expected!r}"
    if type(expected) is not type(shown):
        return f"{where}: {shown!r} for {expected!r}"
    if isinstance(expected, dict):
        if expected.keys() != shown.keys():
            return f"{where}: has {sorted(shown)} for {sorted(expected)}"
        return next(
            filter(None, (differences(expected[name], shown[name], f"{where}.{name}") for name in expected)), ""
        )
    if isinstance(expected, list):
        if len(expected) != len(shown):
            return f"{where}: {shown} for {expected}"
        pairs = enumerate(zip(expected, shown, strict=True))
        return next(filter(None, (differences(*pair, f"{where}[{place}]") for place, pair in pairs)), "")
    return "" if expected == shown else f"{where}: {shown!r} for {expected!r}"
