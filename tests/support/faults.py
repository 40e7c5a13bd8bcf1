"""A client of the table that fails where a test says, over DynamoDB Local and over moto alike.

What a fault leaves behind is what it would leave in the cloud: nothing, or all that the call does, with nobody told.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from atrium.store.engine.table import table
from tests.support.client import Answer
from tests.support.clock import READ_TIMEOUT, Clock, install

# After these the call has done nothing, or a batch half of what it was asked …
WITHOUT_EFFECT = ("crash before", "throttle", "left over", "conflict", "error", "untyped", "hang")
# … and after these all that it was asked, though the caller does not hear of it.
WITH_EFFECT = ("crash after", "untyped after", "lost")
FAULTS = (*WITHOUT_EFFECT, *WITH_EFFECT)

# Statuses of a front end whose answer is no error of the service's: HTML, or nothing. The client calls each by its
# number. Which of them a fault is, goes by the number of the call.
UNTYPED = (500, 502, 503, 504)

# The fault of a call, None for none: by its number (all calls are counted, from 1), operation and parameters.
Choose = Callable[[int, str, dict[str, Any]], str | None]


class Crash(BaseException):
    """The end of the function's process, as far as the table can tell: nothing catches it but a test."""


class FaultyClient:
    """Passes calls on to a client, one at a time, and lets them fail. `calls` holds the operations so far.

    After a crash every call crashes, until `revive`: a process that has ended asks nothing more.
    """

    def __init__(self, client: Any, choose: Choose, clock: Clock | None = None) -> None:
        self.choose = choose
        self.calls: list[str] = []
        self._client = client
        self._clock = clock
        self._crashed = False
        self._lock = threading.RLock()

    def revive(self) -> None:
        self._crashed = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        operation = self._client.meta.method_to_api_mapping.get(name)
        if operation is None:
            return found

        def call(**params: Any) -> Any:
            with self._lock:
                return self._call(operation, found, params)

        return call

    def _call(self, operation: str, method: Callable[..., Any], params: dict[str, Any]) -> Any:
        if self._crashed:
            raise Crash
        self.calls.append(operation)
        fault = self.choose(len(self.calls), operation, params)
        if fault == "left over" and operation in _BATCHES:
            return _in_part(operation, method, params)
        if fault in WITHOUT_EFFECT:
            raise self._raised(fault, operation)
        answer = method(**params)
        if fault is not None:
            raise self._raised(fault, operation)
        return answer

    def _raised(self, fault: str, operation: str) -> BaseException:
        match fault:
            case "crash before" | "crash after":
                self._crashed = True
                return Crash()
            case "hang":
                if self._clock:
                    self._clock.wait(self._clock.waited, READ_TIMEOUT)
                return ReadTimeoutError(endpoint_url="injected")
            case "lost":
                return ConnectionClosedError(endpoint_url="injected")
            case "conflict" if operation.startswith("Transact"):
                answer = _answer(400, "TransactionCanceledException")
                answer["CancellationReasons"] = [{"Code": "TransactionConflict"}]
                cancelled: type[ClientError] = self._client.exceptions.TransactionCanceledException
                return cancelled(answer, operation)
            case "conflict":
                return ClientError(_answer(400, "TransactionConflictException"), operation)
            case "throttle" | "left over":
                return ClientError(_answer(400, "ProvisionedThroughputExceededException"), operation)
            case "error":
                return ClientError(_answer(500, "InternalServerError"), operation)
            case "untyped" | "untyped after":
                status = UNTYPED[len(self.calls) % len(UNTYPED)]
                return ClientError(_answer(status, str(status)), operation)
        raise ValueError(fault)


# How a batch says what it has left over.
_BATCHES = {"BatchGetItem": "UnprocessedKeys", "BatchWriteItem": "UnprocessedItems"}


def _in_part(operation: str, method: Callable[..., Any], params: dict[str, Any]) -> Any:
    """The answer to a batch of one table of which the first half, rounded down, is done."""
    ((name, asked),) = params["RequestItems"].items()
    whole = asked["Keys"] if operation == "BatchGetItem" else asked
    half = len(whole) // 2

    def part(of: list[Any]) -> dict[str, Any]:
        return {name: {**asked, "Keys": of} if operation == "BatchGetItem" else of}

    done = method(RequestItems=part(whole[:half])) if half else {"Responses": {}}
    return {**done, _BATCHES[operation]: part(whole[half:])}


def _answer(status: int, code: str) -> Any:
    """What a client makes of an error's answer."""
    return {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}


@contextmanager
def faulty(choose: Choose, clock: Clock | None = None) -> Iterator[FaultyClient]:
    """Lets the calls of this process's functions to the table fail as `choose` says.

    With a clock its process is on that one. Reads that are made at once are then made one after the other, so that a
    run can be repeated and no thread outlives its request.
    """
    made = table()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made, "_client", FaultyClient(made._client, choose, clock))
        if clock:
            install(clock, patch.setattr)
            patch.setattr(made, "together", lambda calls: [call() for call in calls])
        yield made._client


def once_before_the_commit(rival: Callable[[], Answer], also: int = 0) -> Choose:
    """Answers a rival request between the read and the commit of this one, and throttles the call number `also`."""
    answers: list[Answer] = []

    def choose(number: int, operation: str, _: Mapping[str, Any]) -> str | None:
        if operation == "TransactWriteItems" and not answers:
            answers.append(rival())
            assert answers[0].status == 200
        return "throttle" if number == also else None

    return choose


BUSY = "The service is busy. Send the same request again, with the same Idempotency-Key."
