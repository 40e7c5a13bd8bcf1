"""What the functions ask of the table: which calls, and how many of them one after the other."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local.functions import call
from local.template import Function

# Long enough that calls made at the same time overlap for certain.
_DELAY = 0.015


@dataclass
class Call:
    """A call of the client by a function; times in seconds of one clock."""

    function: str
    operation: str
    params: Mapping[str, Any]
    began: float
    ended: float = 0.0

    @property
    def actions(self) -> set[str]:
        """The IAM actions that the call needs."""
        if self.operation != "TransactWriteItems":
            return {f"dynamodb:{self.operation}"}
        kinds = {kind for action in self.params["TransactItems"] for kind in action}
        return {"dynamodb:ConditionCheckItem" if kind == "ConditionCheck" else f"dynamodb:{kind}Item" for kind in kinds}


@dataclass
class Trace:
    """All calls since `clear`. The authorizer's are told apart by their function."""

    calls: list[Call] = field(default_factory=list)
    _function: str = ""
    _open: dict[int, Call] = field(default_factory=dict)

    def invoke(self, function: Function, event: Mapping[str, Any]) -> Any:
        self._function = function.name
        return call(function, event)

    def watch(self, client: Any) -> None:
        client.meta.events.register("provide-client-params.dynamodb", self._begin)
        client.meta.events.register("after-call.dynamodb", self._end)

    def clear(self) -> None:
        self.calls.clear()

    def of(self, function: str) -> list[Call]:
        return [made for made in self.calls if made.function == function]

    def actions(self, function: str) -> set[str]:
        """The IAM actions that the function used."""
        return {action for made in self.of(function) for action in made.actions}

    def round_trips(self, function: str) -> int:
        """The longest chain of calls of which each began after the one before it had ended."""
        chain, free = 0, 0.0
        for made in sorted(self.of(function), key=lambda made: made.ended):
            if made.began >= free:
                chain, free = chain + 1, made.ended
        return chain

    def width(self, function: str) -> int:
        """The most calls at any moment."""
        made = self.of(function)
        return max((sum(one.began <= at.began < one.ended for one in made) for at in made), default=0)

    def _begin(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        made = Call(self._function, model.name, params, time.monotonic())
        self.calls.append(made)
        self._open[threading.get_ident()] = made
        time.sleep(_DELAY)

    def _end(self, **_: Any) -> None:
        self._open[threading.get_ident()].ended = time.monotonic()
