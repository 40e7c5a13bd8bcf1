"""The one table: consistent reads and one conditional transaction, behind the wall of `store.wall`.

Items cross this module as plain dicts of str, int, bool, None, list and dict. Failures that pass are retried here
while the request has time, then become Unavailable; what the table refuses on a condition comes back as
ConditionFailed.
"""

import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto
from functools import cache, partial
from typing import Any, TypeVar

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.exceptions import ConnectionError as ConnectionFailed

from atrium import keys
from atrium.cold_start import before_snapshot
from atrium.errors import Unavailable
from atrium.keys import Key
from atrium.settings import LAST_CALL_AFTER, settings
from atrium.store.engine.client import dynamodb, is_failure
from atrium.store.engine.wall import elapsed, guard, scope, spent

Item = dict[str, Any]
T = TypeVar("T")

# Its draws are the system's: the state of the module's own generator would be the same in all that SnapStart restores.
_chance = random.SystemRandom()

# Answers of the service that say nothing about the request. So does every status of 500 or more, by whichever code: the
# service's front end answers without one.
_PASSING = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionConflictException",
    "TransactionInProgressException",
}
_UNREACHABLE = (
    ConnectionClosedError,
    ConnectTimeoutError,
    ConnectionFailed,
    EndpointConnectionError,
    ReadTimeoutError,
)


class ConditionFailed(Exception):
    """A transaction changed nothing, because a condition of it no longer holds."""


class _Passing(Enum):
    """Why a call is to be made again: the service fails or has too much to do, or another transaction is under way."""

    FAILURE = auto()
    CONFLICT = auto()


# ---------------------------------------------------------------- calls


@dataclass(frozen=True)
class Write:
    """One action of a transaction: `Put`, `Update`, `Delete` or `ConditionCheck`, in the client's own form."""

    action: str
    request: dict[str, Any]


@dataclass(frozen=True)
class Range:
    """A range of one partition, ascending, both ends inclusive: its first `limit` items, or as many as stand in its
    first `megabytes`, where the table counts what is stored. `only` names the attributes that are wanted, if not all.
    `enough` says behind a megabyte whether its items, and those before it, will do.
    """

    pk: str
    start: str
    until: str
    limit: int
    megabytes: int = 1
    only: tuple[str, ...] = ()
    enough: Callable[[Sequence[Item]], bool] | None = None


class Rows(list[Item]):
    """The items of a range; `more` says whether it goes on behind them, `units` what reading them took: one for each
    4 KB that is stored, wanted or not."""

    def __init__(self, items: Iterable[Item] = (), more: bool = False, units: float = 0) -> None:
        super().__init__(items)
        self.more = more
        self.units = units


def starting_with(
    pk: str, prefix: str, after: str | None, limit: int, megabytes: int = 1, only: tuple[str, ...] = ()
) -> Range:
    """The items of a partition whose sort key is the prefix and an id, from behind the id `after`."""
    return Range(pk, prefix if after is None else f"{prefix}{after}\x00", prefix + "\x7f", limit, megabytes, only)


# What one BatchGetItem, and one BatchWriteItem, may have.
MAX_BATCH = 100
_BATCH_WRITES = 25


class Table:
    """The table under a name, through one client. Safe to share between threads."""

    def __init__(self, name: str, client: Any) -> None:
        self.name = name
        self._client = client
        self._client.meta.events.register("before-parameter-build.dynamodb", guard)
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="table")

    def get(self, key: Key) -> Item | None:
        """One item, consistently."""
        answer = self._call("GetItem", TableName=self.name, Key=wire_key(key), ConsistentRead=True)
        return plain_item(answer["Item"]) if "Item" in answer else None

    def get_settled(self, key: Key) -> Item | None:
        """One item as no commit is about to change it. A commit becomes visible item by item, and a consistent read may
        come between; this one is in conflict with a commit on the item that is not done, and made again until it is.
        """
        wanted = {"Get": {"TableName": self.name, "Key": wire_key(key)}}
        (found,) = self._call("TransactGetItems", TransactItems=[wanted])["Responses"]
        return plain_item(found["Item"]) if "Item" in found else None

    def get_all(self, wanted: Sequence[Key]) -> dict[Key, Item]:
        """The items that exist under at most 100 keys, consistently. One call, but for what the table left over."""
        found: dict[Key, Item] = {}
        left: list[dict[str, Any]] = [wire_key(key) for key in dict.fromkeys(wanted)]
        attempt = 0
        while left:
            answer = self._call("BatchGetItem", RequestItems={self.name: {"Keys": left, "ConsistentRead": True}})
            for wire in answer["Responses"].get(self.name, []):
                item = plain_item(wire)
                found[Key(item["pk"], item["sk"])] = item
            left = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            if left:
                attempt += 1
                self._pause(attempt)
        return found

    def query(self, wanted: Range) -> Rows:
        """The items of a range, consistently: one call for each megabyte."""
        items: list[Item] = []
        params: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :start AND :until",
            "ExpressionAttributeValues": {
                ":pk": {"S": wanted.pk},
                ":start": {"S": wanted.start},
                ":until": {"S": wanted.until},
            },
            "ConsistentRead": True,
            "ReturnConsumedCapacity": "TOTAL",
        }
        if wanted.only:
            params |= expressions({}, ProjectionExpression=", ".join(f"#{name}" for name in wanted.only))
        units = 0.0
        for _ in range(wanted.megabytes):
            # One more than wanted, since the table names a next page behind the last item too.
            params["Limit"] = wanted.limit + 1 - len(items)
            answer = self._call("Query", **params)
            items += map(plain_item, answer["Items"])
            units += answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0)
            if "LastEvaluatedKey" not in answer or len(items) > wanted.limit:
                return Rows(items[: wanted.limit], len(items) > wanted.limit, units)
            if wanted.enough and wanted.enough(items):
                break
            params["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        return Rows(items, more=True, units=units)

    def scan_keys(
        self, after: Key | None = None, segment: tuple[int, int] | None = None, tenant: str | None = None
    ) -> tuple[list[Key], Key | None]:
        """The keys of one page of the whole table, from behind `after`, consistently; and the key that the next page
        starts behind, None on the last one. Of the table's segment (i, n) alone, if one is given, and only those of a
        tenant's rows: its partitions, its rows of the purge queue, and its credentials."""
        params: dict[str, Any] = {"ExclusiveStartKey": wire_key(after)} if after else {}
        if segment is not None:
            params |= {"Segment": segment[0], "TotalSegments": segment[1]}
        if tenant is not None:
            own = "begins_with(pk, :own) OR begins_with(sk, :queued) OR tenant = :tenant"
            values = {"own": keys.tenant_prefix(tenant), "queued": f"{tenant}#", "tenant": tenant}
            params |= expressions(values, FilterExpression=own)
        answer = self._call("Scan", TableName=self.name, ProjectionExpression="pk, sk", ConsistentRead=True, **params)
        page, last = answer["Items"], answer.get("LastEvaluatedKey")
        return [_plain_key(wired) for wired in page], _plain_key(last) if last else None

    def together(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """The results of several calls made at once, each under this request's scope. Where one fails, none is begun
        any more, and those that run have ended before its exception is raised: they end with the request's time."""
        if len(calls) < 2:
            return [call() for call in calls]
        futures = [self._threads.submit(copy_context().run, call) for call in calls]
        for future in wait(futures, return_when=FIRST_EXCEPTION).not_done:
            future.cancel()
        wait(futures)
        return [future.result() for future in futures]

    def transact(self, writes: Sequence[Write], token: str) -> None:
        """All of the writes, or none.

        The same bytes go again under the same token after a failure that passes, so a lost answer is no second write.
        Raises ConditionFailed, or Unavailable when the request's time is used up.
        """
        self._call(
            "TransactWriteItems",
            TransactItems=[{write.action: {"TableName": self.name, **write.request}} for write in writes],
            ClientRequestToken=token,
        )

    def delete_all(self, doomed: Sequence[Key]) -> None:
        """Deletes the items under the keys, those that are there, in no order and not all at once. Whoever depends on
        all of them calls again after a failure. Raises Unavailable."""
        batches = [doomed[position : position + _BATCH_WRITES] for position in range(0, len(doomed), _BATCH_WRITES)]
        self.together([partial(self._delete_batch, batch) for batch in batches])

    def _delete_batch(self, doomed: Sequence[Key]) -> None:
        left: list[dict[str, Any]] = [{"DeleteRequest": {"Key": wire_key(key)}} for key in doomed]
        attempt = 0
        while left:
            answer = self._call("BatchWriteItem", RequestItems={self.name: left})
            left = answer.get("UnprocessedItems", {}).get(self.name, [])
            if left:
                attempt += 1
                self._pause(attempt)

    def touch(self, key: Key, expression: str, when: str | None, values: Item) -> None:
        """A best-effort update, tried once. Raises ConditionFailed, or Unavailable."""
        request = {"Key": wire_key(key), **expressions(values, UpdateExpression=expression, ConditionExpression=when)}
        if self._seconds_left() <= 0:
            raise Unavailable
        if isinstance(self._attempt("UpdateItem", TableName=self.name, **request), _Passing):
            raise Unavailable

    def disconnect(self) -> None:
        """Closes its connections. The next call opens another."""
        self._client.close()

    def _call(self, operation: str, **params: Any) -> dict[str, Any]:
        attempt = 0
        while self._seconds_left() > 0:
            answer = self._attempt(operation, **params)
            if not isinstance(answer, _Passing):
                return answer
            attempt += 1
            self._pause(attempt, answer)
        raise Unavailable

    def _attempt(self, operation: str, **params: Any) -> dict[str, Any] | _Passing:
        """The call's answer, or what passes."""
        try:
            answer: dict[str, Any] = getattr(self._client, _METHODS[operation])(**params)
            return answer
        except self._client.exceptions.ConditionalCheckFailedException:
            raise ConditionFailed from None
        except self._client.exceptions.TransactionCanceledException as error:
            reasons = {reason.get("Code") for reason in error.response["CancellationReasons"]} - {"None", None}
            if "ConditionalCheckFailed" in reasons:
                raise ConditionFailed from None
            if reasons == {"TransactionConflict"}:
                return _Passing.CONFLICT
            if not reasons <= {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}:
                raise
        except ClientError as error:
            if not is_failure(error) and error.response["Error"]["Code"] not in _PASSING:
                raise
        except _UNREACHABLE:
            pass
        return _Passing.FAILURE

    def _pause(self, attempt: int, after: _Passing = _Passing.FAILURE) -> None:
        """Wait before a call, or what was left over of one, is made again. Full jitter: up to 20 ms, 40 ms … 640 ms.

        A conflict is no overload. There it is up to 100 ms, each time: whoever waited longer and longer would be
        overtaken by all who come (decision 0034).
        """
        spent().retries += 1
        time.sleep(_chance.uniform(0, 0.1 if after is _Passing.CONFLICT else 0.01 * 2 ** min(attempt, 6)))

    def pause(self, losses: int) -> None:
        """Wait before deciding again after a lost race. Raises Unavailable when the request's time is used up.

        Somebody else has won, so there is no overload to back off from. The jitter parts those who lost together, and
        the more often a request has lost, the sooner it tries again: else newcomers would win, and it would starve.
        """
        spent().lost_races += 1
        time.sleep(_chance.uniform(0, 0.1 / losses))
        if self._seconds_left() <= 0:
            raise Unavailable

    @staticmethod
    def _seconds_left() -> float:
        return LAST_CALL_AFTER - elapsed()


_METHODS = {
    "BatchWriteItem": "batch_write_item",
    "GetItem": "get_item",
    "BatchGetItem": "batch_get_item",
    "Query": "query",
    "Scan": "scan",
    "TransactGetItems": "transact_get_items",
    "TransactWriteItems": "transact_write_items",
    "UpdateItem": "update_item",
}


@cache
def table() -> Table:
    """This process's table."""
    made = Table(settings().table_name, dynamodb())
    before_snapshot(made.disconnect)
    return made


_NOTHING = keys.principal("0" * 24, "0" * 24)


def connect(operation: str = "BatchGetItem", nothing: Key = _NOTHING) -> None:
    """Makes this process's table and opens its connection, by one read of an item that is not there. It is tried once;
    the `operation` is the one that the function's requests begin with, on a key like theirs: both it may."""
    made, key = table(), wire_key(nothing)
    by_operation: dict[str, dict[str, Any]] = {
        "BatchGetItem": {"RequestItems": {made.name: {"Keys": [key]}}},
        "GetItem": {"TableName": made.name, "Key": key},
    }
    with scope("0" * 24, credentials=True):
        made._attempt(operation, **by_operation[operation])


# ---------------------------------------------------------------- the client's own form


def expressions(values: Item, **parts: str | None) -> dict[str, Any]:
    """Expressions whose attribute names are written `#name` and whose values are written `:name`."""
    given = {kind: text for kind, text in parts.items() if text}
    names = {f"#{name}": name for text in given.values() for name in re.findall(r"#(\w+)", text)}
    wired = {f":{name}": wire(value) for name, value in values.items()}
    return {
        **given,
        **({"ExpressionAttributeNames": names} if names else {}),
        **({"ExpressionAttributeValues": wired} if wired else {}),
    }


def wire_item(item: Item) -> dict[str, Any]:
    return {name: wire(value) for name, value in item.items()}


def wire(value: Any) -> dict[str, Any]:
    """A plain value in DynamoDB's form. boto3's serialiser costs twice the time and wants Decimals."""
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case None:
            return {"NULL": True}
        case dict():
            return {"M": wire_item(value)}
        case list() | tuple():
            return {"L": [wire(item) for item in value]}
    raise TypeError(f"{type(value).__name__} is not kept in the table")


def plain_item(wired: dict[str, Any]) -> Item:
    # Most values are strings: a call for each would take a third of the time.
    return {name: value["S"] if "S" in value else _plain(value) for name, value in wired.items()}


def _plain(wired: dict[str, Any]) -> Any:
    ((kind, value),) = wired.items()
    match kind:
        case "N":
            # Atrium writes integers only, but must be able to read whatever else somebody wrote, to tell of it.
            return int(value) if value.lstrip("-").isdigit() else Decimal(value)
        case "NULL":
            return None
        case "M":
            return plain_item(value)
        case "L":
            return [_plain(item) for item in value]
        case "B":
            # This client gives a text, which it must not be taken for.
            return value.encode() if isinstance(value, str) else value
        case _:
            return value


def wire_key(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def _plain_key(wired: dict[str, Any]) -> Key:
    return Key(wired["pk"]["S"], wired["sk"]["S"])
