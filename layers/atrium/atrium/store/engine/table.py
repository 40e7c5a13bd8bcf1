"""The one table: consistent reads and conditional transactions, behind the wall of wall.py.

Items cross this module as plain dicts of str, int, bool, None, list and dict. A transient failure is retried while the
request has time, then raised as Unavailable. A condition that does not hold is raised as ConditionFailed.
"""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
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
from atrium.store.engine.scope import elapsed, scope, spent
from atrium.store.engine.wall import guard
from atrium.store.engine.wire import expressions, plain_item, plain_key, wire_key

Item = dict[str, Any]
T = TypeVar("T")

# Draws from the system: copies that SnapStart restores would share the state of the module's own generator.
_chance = random.SystemRandom()

# Codes of transient failures, which say nothing about the request. Every failure of the service itself is one too,
# whatever its code: its front end answers without a code.
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
    """A transaction changed nothing, because one of its conditions no longer holds."""


class _Passing(Enum):
    """Why a call is to be made again: the service fails or is overloaded, or another transaction holds an item."""

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
    """A range of one partition, both ends inclusive; ascending, unless it is `descending`: then its last item is first.

    A query reads its first `limit` items, or those of its first `megabytes` as stored, whichever is less. `only` names
    the attributes to return, if not all. `enough` is asked after each megabyte with the items so far; the query ends
    when it is true.
    """

    pk: str
    start: str
    until: str
    limit: int
    megabytes: int = 1
    only: tuple[str, ...] = ()
    enough: Callable[[Sequence[Item]], bool] | None = None
    descending: bool = False


class Rows(list[Item]):
    """The items of a range. `more` says whether the range goes on behind them, `units` how many capacity units the read
    took: one for each 4 KB as stored, returned or not."""

    def __init__(self, items: Iterable[Item] = (), more: bool = False, units: float = 0) -> None:
        super().__init__(items)
        self.more = more
        self.units = units


def starting_with(
    pk: str, prefix: str, after: str | None, limit: int, megabytes: int = 1, only: tuple[str, ...] = ()
) -> Range:
    """The items of a partition whose sort key is the prefix and an id, from behind the id `after`."""
    return Range(*keys.beginning(pk, prefix, after), limit, megabytes, only)


# The most keys of one BatchGetItem, and of one BatchWriteItem.
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

    def get_when_committed(self, key: Key) -> Item | None:
        """One item, with no commit on it under way. A commit becomes visible item by item, and a consistent read may
        see some items before and others after. This read conflicts with an unfinished commit and is repeated until the
        commit is done.
        """
        return self.get_all_when_committed([key]).get(key)

    def get_all_when_committed(self, wanted: Sequence[Key]) -> dict[Key, Item]:
        """The items that exist under the keys, all as they are at one moment, with no commit on any of them under
        way."""
        asked = [{"Get": {"TableName": self.name, "Key": wire_key(key)}} for key in wanted]
        found = self._call("TransactGetItems", TransactItems=asked)["Responses"]
        return {key: plain_item(each["Item"]) for key, each in zip(wanted, found, strict=True) if "Item" in each}

    def get_all(self, wanted: Sequence[Key]) -> dict[Key, Item]:
        """The items that exist under at most 100 keys, consistently. One call, unless the table leaves some over."""
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
        if wanted.descending:
            params["ScanIndexForward"] = False
        if wanted.only:
            params |= expressions({}, ProjectionExpression=", ".join(f"#{name}" for name in wanted.only))
        units = 0.0
        for _ in range(wanted.megabytes):
            # One more than wanted: the table gives a LastEvaluatedKey behind the last item of a range too.
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
        """The keys of one page of the whole table behind `after`, consistently; and the key behind which the next page
        starts, None on the last page. With `segment` (i, n) only those of that part of the table; with `tenant` only
        those of its partitions, its rows of the purge queue, and its credentials."""
        params: dict[str, Any] = {"ExclusiveStartKey": wire_key(after)} if after else {}
        if segment is not None:
            params |= {"Segment": segment[0], "TotalSegments": segment[1]}
        if tenant is not None:
            own = "begins_with(pk, :own) OR begins_with(sk, :queued) OR tenant = :tenant"
            values = {"own": keys.tenant_prefix(tenant), "queued": f"{tenant}#", "tenant": tenant}
            params |= expressions(values, FilterExpression=own)
        answer = self._call("Scan", TableName=self.name, ProjectionExpression="pk, sk", ConsistentRead=True, **params)
        page, last = answer["Items"], answer.get("LastEvaluatedKey")
        return [plain_key(wired) for wired in page], plain_key(last) if last else None

    def together(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """The results of several calls made at once, each in the current scope. When one fails, no other is begun, and
        its exception is raised once those under way have ended."""
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
        """Deletes the items that exist under the keys, in no order and not in one transaction. After a failure some are
        left. Raises Unavailable."""
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

    def update(self, key: Key, expression: str, when: str | None, values: Item) -> Item:
        """Changes one item in a way that may be done again, and returns it. Raises ConditionFailed, or Unavailable."""
        request = expressions(values, UpdateExpression=expression, ConditionExpression=when)
        answer = self._call("UpdateItem", TableName=self.name, Key=wire_key(key), ReturnValues="ALL_NEW", **request)
        return plain_item(answer["Attributes"])

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
        """The answer of the call, or the reason to make it again."""
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
        """Waits before a call, or the rest of a batch, is made again. Full jitter: up to 20 ms, 40 ms … 640 ms.

        After a conflict the wait is up to 100 ms each time. A conflict is no overload, and a request that waited longer
        and longer would be overtaken by newcomers (decision 0034).
        """
        spent().retries += 1
        time.sleep(_chance.uniform(0, 0.1 if after is _Passing.CONFLICT else 0.01 * 2 ** min(attempt, 6)))

    def pause(self, losses: int) -> None:
        """Waits before deciding again after a lost race. Raises Unavailable when the request's time is used up.

        Another request has won, so there is no overload to back off from. The jitter separates requests that lost
        together. A request that has lost more often tries again sooner, or newcomers would starve it.
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
    """Makes this process's table and opens its connection, by one read of an item that does not exist, tried once. The
    `operation` and the kind of key are those with which the function's requests begin, so its role allows them."""
    made, key = table(), wire_key(nothing)
    by_operation: dict[str, dict[str, Any]] = {
        "BatchGetItem": {"RequestItems": {made.name: {"Keys": [key]}}},
        "GetItem": {"TableName": made.name, "Key": key},
    }
    with scope("0" * 24, credentials=True):
        made._attempt(operation, **by_operation[operation])
