"""What calls of the table cost, in DynamoDB's units, by its documented rules and the sizes of the items.

DynamoDB Local has figures of its own, but not those: its transactions cost two units whatever they write.
"""

import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import boto3

from atrium.keys import Key
from local.functions import call
from local.template import Function
from tests.support.direct import Direct, key_of

# Bytes that one unit reads, consistently, and that one writes.
READ, WRITTEN = 4096, 1024

Item = Mapping[str, Any]


@dataclass
class Units:
    """The cost of one call. `sizes` are the bytes of each item that it wrote, before and after, by pk and sk."""

    function: str
    operation: str
    read: int = 0
    written: int = 0
    sizes: dict[Key, tuple[int, int]] = field(default_factory=dict)


@dataclass
class Meter:
    """Every call since `clear`. `look` is a client of the same engine that is not watched."""

    look: Any = None
    calls: list[Units] = field(default_factory=list)
    _function: str = ""
    _direct: Any = None
    _open: dict[int, tuple[Mapping[str, Any], dict[Key, int]]] = field(default_factory=dict)

    def invoke(self, function: Function, event: Mapping[str, Any]) -> Any:
        self._function = function.name
        return call(function, event)

    def watch(self, client: Any) -> None:
        self.look = boto3.client("dynamodb", endpoint_url=client.meta.endpoint_url)
        self._direct = Direct(client.meta.endpoint_url, os.environ["AWS_ACCESS_KEY_ID"], "")
        client.meta.events.register("provide-client-params", self._begin)
        client.meta.events.register("after-call", self._end)

    def clear(self) -> None:
        self.calls.clear()

    def of(self, function: str) -> tuple[int, int, int]:
        """How many calls a function made, the units that they read, and those that they wrote."""
        made = [call for call in self.calls if call.function == function]
        return len(made), sum(call.read for call in made), sum(call.written for call in made)

    def _begin(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        # By thread: a function may make several calls at once.
        self._open[threading.get_ident()] = params, self._sizes(_writes(model.name, params))

    def _end(self, parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
        params, before = self._open.pop(threading.get_ident())
        cost = Units(self._function, model.name)
        match model.name:
            case "GetItem":
                cost.read = units(size(parsed.get("Item", {})), READ)
            case "TransactGetItems":
                cost.read = sum(2 * units(size(found.get("Item", {})), READ) for found in parsed["Responses"])
            case "BatchGetItem":
                (wanted,) = (request["Keys"] for request in params["RequestItems"].values())
                found = [item for items in parsed["Responses"].values() for item in items]
                # A key under which there is nothing costs a unit, too.
                cost.read = sum(units(size(item), READ) for item in found) + len(wanted) - len(found)
            case "Query":
                cost.read = units(sum(map(size, parsed["Items"])), READ)
            case "TransactWriteItems" | "UpdateItem":
                after = self._sizes(_writes(model.name, params))
                each = 2 if model.name == "TransactWriteItems" else 1
                cost.sizes = {key: (before[key], after[key]) for key in before}
                cost.written = each * sum(units(max(sizes), WRITTEN) for sizes in cost.sizes.values())
            case _:
                raise ValueError(f"What {model.name} costs is not known here")
        self.calls.append(cost)

    def _sizes(self, keys: Iterable[tuple[str, Item]]) -> dict[Key, int]:
        """Asked past the SDK, since the function that makes the call may not ask it."""
        wanted: dict[str, Any] = {}
        for table, key in keys:
            wanted.setdefault(table, {"Keys": [], "ConsistentRead": True})["Keys"].append(key)
        if not wanted:
            return {}
        answer = self._direct.answer("BatchGetItem", RequestItems=wanted)
        assert not answer["UnprocessedKeys"]
        sizes = {key_of(item): size(item) for items in answer["Responses"].values() for item in items}
        return {key_of(key): sizes.get(key_of(key), 0) for asked in wanted.values() for key in asked["Keys"]}


def _writes(operation: str, params: Mapping[str, Any]) -> list[tuple[str, Item]]:
    """The tables and keys of what a call writes, or holds a condition on."""
    if operation == "UpdateItem":
        return [(params["TableName"], params["Key"])]
    actions = [action for actions in params.get("TransactItems", []) for action in actions.values()]
    return [(action["TableName"], action.get("Key") or _key(action["Item"])) for action in actions]


def _key(item: Item) -> Item:
    return {name: item[name] for name in ("pk", "sk")}


def units(bytes: int, of: int) -> int:
    return max(1, ceil(bytes / of))


def size(item: Item) -> int:
    """An item's size in bytes, as DynamoDB counts it; the item in the client's own form."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(wired: Mapping[str, Any]) -> int:
    ((kind, value),) = wired.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            # Two digits a byte, and one more; leading and trailing zeros do not count.
            digits = str(value)
            return ceil(len(digits.strip("-").strip("0")) / 2) + 1 + digits.startswith("-")
        case "M":
            return 3 + sum(1 + len(name.encode()) + _size(inner) for name, inner in value.items())
        case "L":
            return 3 + sum(1 + _size(inner) for inner in value)
        case _:
            return 1
