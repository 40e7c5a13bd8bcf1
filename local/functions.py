"""Runs the template's functions, in processes that can be ended."""

import importlib
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as Expired
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

from pebble import ProcessExpired, ProcessPool

from local.template import Function


class FunctionFailed(Exception):
    """The function raised, answered something that is not JSON, or its process died."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(f"{error_type}: {message}")
        self.error_type = error_type
        self.message = message


class FunctionTimedOut(Exception):
    """The function did not end in its time; its process has been killed."""


class Invoker(Protocol):
    """Invokes a function and waits for its result, as Lambda's RequestResponse does."""

    def __call__(self, function: Function, event: Mapping[str, Any]) -> Any:
        """The result, as JSON has it. Raises FunctionFailed and FunctionTimedOut."""


@dataclass(frozen=True)
class Context:
    """What Lambda passes as context, as far as functions use it."""

    function_name: str
    memory_limit_in_mb: int
    aws_request_id: str
    deadline: float

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.deadline - time.time()) * 1000))


def call(function: Function, event: Mapping[str, Any]) -> Any:
    """Calls a function here and now, its event and result passing through JSON as they do in Lambda.

    Raises FunctionFailed for whatever the function raises.
    """
    context = Context(function.name, function.memory, str(uuid4()), time.time() + function.timeout)
    module, _, attribute = function.handler.rpartition(".")
    try:
        handler: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        return json.loads(json.dumps(handler(json.loads(json.dumps(event)), context)))
    except Exception as error:
        raise FunctionFailed(type(error).__name__, str(error)) from error


class Workers:
    """A pool of processes, each of which can run every function. All functions share one environment (Globals)."""

    def __init__(self, environment: Mapping[str, str], size: int) -> None:
        # Forked from a server that has imported the functions' dependencies once and holds no thread and no connection.
        methods = multiprocessing.get_context("forkserver")
        methods.set_forkserver_preload(["local.preload"])
        self._pool = ProcessPool(size, initializer=start_worker, initargs=(dict(environment),), context=methods)
        # The processes start with the first task, so give them one now.
        self._pool.schedule(os.getpid)

    def __call__(self, function: Function, event: Mapping[str, Any]) -> Any:
        """As Invoker says."""
        future = self._pool.schedule(_run, args=(function, event), timeout=function.timeout)
        try:
            result = future.result()
        except Expired:
            raise FunctionTimedOut(function.name) from None
        except ProcessExpired as error:
            raise FunctionFailed("Runtime.ExitError", f"the process ended with status {error.exitcode}") from None
        if "raised" in result:
            raise FunctionFailed(*result["raised"])
        return result["returned"]

    def stop(self) -> None:
        """Ends every process, whatever it does."""
        self._pool.stop()
        self._pool.join()


def start_worker(environment: Mapping[str, str]) -> None:
    """Makes this process one that runs functions."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.update(environment)


def _run(function: Function, event: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"returned": call(function, event)}
    except FunctionFailed as failure:
        return {"raised": (failure.error_type, failure.message)}
