"""DynamoDB's limits, most of which its emulators do not know: a hook that every call of the tests' functions passes."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

KB, MB = 1024, 1024 * 1024

MAX_PK, MAX_SK = 2048, 1024
MAX_ITEM = 400 * KB
MAX_DEPTH = 32
MAX_DIGITS = 38
MAX_TRANSACTION = 4 * MB
MAX_REQUEST = 16 * MB
MAX_EXPRESSION, MAX_OPERATORS = 4 * KB, 300
# Items in one call.
MAX_TRANSACTED, MAX_READ, MAX_WRITTEN = 100, 100, 25

_OPERATOR = re.compile(r"\b(AND|OR|NOT|IN|BETWEEN|attribute_\w+|begins_with|contains|size)\b|[-+]|[<>=]+")


class LimitExceeded(BaseException):
    """A call that DynamoDB refuses, whatever an emulator says of it. No function may take it for something else."""


class Limits:
    """Watches a client. `most` is the largest of each kind that came by."""

    def __init__(self) -> None:
        self.most: Counter[str] = Counter()
        self._tokens: dict[str, str] = {}

    def watch(self, client: Any) -> None:
        client.meta.events.register(
            "before-parameter-build.dynamodb", lambda params, model, **_: self.check(model.name, params)
        )

    def check(self, operation: str, params: dict[str, Any]) -> None:
        """Raises LimitExceeded."""
        self._hold("bytes of a request", len(json.dumps(params, ensure_ascii=False).encode()), MAX_REQUEST)
        match operation:
            case "TransactWriteItems":
                self._check_transaction(params)
            case "BatchWriteItem":
                writes = [write for writes in params["RequestItems"].values() for write in writes]
                self._check_items("items of a batch write", [_first(write) for write in writes], MAX_WRITTEN)
            case "TransactGetItems":
                self._check_items(
                    "items read by a transaction", list(map(_first, params["TransactItems"])), MAX_TRANSACTED
                )
            case "BatchGetItem":
                wanted = [key for request in params["RequestItems"].values() for key in request["Keys"]]
                self._check_items("items of a batch read", [{"Key": key} for key in wanted], MAX_READ)
            case "Query":
                values = params["ExpressionAttributeValues"]
                self._check_key({"pk": values[":pk"], "sk": {"S": "-"}})
                for name in values.keys() - {":pk"}:
                    self._check_key({"pk": {"S": "-"}, "sk": values[name]})
            case "GetItem" | "UpdateItem" | "PutItem" | "DeleteItem":
                self._check_action(params)

    def _check_transaction(self, params: dict[str, Any]) -> None:
        actions = [_first(action) for action in params["TransactItems"]]
        self._check_items("items of a transaction", actions, MAX_TRANSACTED)
        self._hold("bytes of a transaction", sum(map(_written, actions)), MAX_TRANSACTION)
        token, asked = params["ClientRequestToken"], json.dumps(params["TransactItems"])
        self._hold("characters of a token", len(token), 36)
        if self._tokens.setdefault(token, asked) != asked:
            raise LimitExceeded("IdempotentParameterMismatch")

    def _check_items(self, what: str, actions: Sequence[dict[str, Any]], most: int) -> None:
        self._hold(what, len(actions), most)
        for action in actions:
            self._check_action(action)
        keys = [(key["pk"]["S"], key["sk"]["S"]) for key in map(_key, actions)]
        if not keys or len(set(keys)) < len(keys):
            raise LimitExceeded(f"{what}: none, or one twice")

    def _check_action(self, action: dict[str, Any]) -> None:
        self._check_key(_key(action))
        self._hold("bytes of an item", _written(action), MAX_ITEM)
        for value in [*action.get("Item", {}).values(), *action.get("ExpressionAttributeValues", {}).values()]:
            if "S" in value:  # most are, and a text has one level and no number
                continue
            self._hold("levels of a value", _depth(value), MAX_DEPTH)
            for number in _numbers(value):
                self._hold("digits of a number", len(number.lstrip("-").replace(".", "").strip("0")), MAX_DIGITS)
        for kind in ("ConditionExpression", "UpdateExpression", "KeyConditionExpression"):
            if text := action.get(kind):
                self._hold("bytes of an expression", len(text.encode()), MAX_EXPRESSION)
                self._hold("operators of an expression", len(_OPERATOR.findall(text)), MAX_OPERATORS)

    def _check_key(self, key: dict[str, Any]) -> None:
        for name, most in (("pk", MAX_PK), ("sk", MAX_SK)):
            size = len(key[name]["S"].encode())
            self._hold(f"bytes of a {name}", size, most)
            if not size:
                raise LimitExceeded(f"an empty {name}")

    def _hold(self, what: str, size: int, most: int) -> None:
        self.most[what] = max(self.most[what], size)
        if size > most:
            raise LimitExceeded(f"{what}: {size} of {most}")


def _first(action: dict[str, Any]) -> dict[str, Any]:
    ((_, request),) = action.items()
    found: dict[str, Any] = request
    return found


def _key(action: dict[str, Any]) -> dict[str, Any]:
    key: dict[str, Any] = action.get("Key") or action["Item"]
    return key


def _written(action: dict[str, Any]) -> int:
    """The bytes of an item that is put, or of what an update brings. What an update makes of its item, the emulator
    knows."""
    return size_of(action.get("Item") or action.get("ExpressionAttributeValues") or {})


def size_of(item: dict[str, Any]) -> int:
    """The bytes that count for an item: names and values."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(value: dict[str, Any]) -> int:
    ((kind, held),) = value.items()
    match kind:
        case "S":
            return len(held.encode())
        case "M":
            return 3 + len(held) + size_of(held)
        case "L":
            return 3 + len(held) + sum(map(_size, held))
        case "N":
            return min(len(held), 21)
        case _:
            return 1


def _depth(value: dict[str, Any]) -> int:
    ((kind, held),) = value.items()
    inner = held.values() if kind == "M" else held if kind == "L" else ()
    return 1 + max(map(_depth, inner), default=0) if kind in "ML" else 0


def _numbers(value: dict[str, Any]) -> Iterator[str]:
    ((kind, held),) = value.items()
    if kind == "N":
        yield held
    for inner in held.values() if kind == "M" else held if kind == "L" else ():
        yield from _numbers(inner)
