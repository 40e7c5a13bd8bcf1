"""Runs the template's functions, in processes that can be ended."""

import importlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Expired
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol
from uuid import uuid4

from pebble import ProcessExpired, ProcessPool

from atrium.settings import MAX_RETURNED_BYTES
from local.template import ROOT, Function, function_arn
from local.terminal import FunctionOutput, say

_FUNCTIONS, _LAYERS = ROOT / "functions", ROOT / "layers"

# Seconds between two checks for changed code.
LOOK_AGAIN_AFTER = 0.5

_ALL_OTHERS = ""


class FunctionFailed(Exception):
    """The function raised, answered something that is not JSON, or its process died. `where` is the traceback."""

    def __init__(self, error_type: str, message: str, where: str = "") -> None:
        super().__init__(f"{error_type}: {message}")
        self.error_type = error_type
        self.message = message
        self.where = where


class FunctionThrottled(FunctionFailed):
    """The function already runs as often as its concurrency allows, and was not invoked."""

    def __init__(self, name: str) -> None:
        super().__init__("TooManyRequestsException", f"{name} runs as often as it may")


class FunctionTimedOut(Exception):
    """The function exceeded its timeout; its process has been killed."""


class _TooMuchReturned(Exception):
    """The function's result is larger than Lambda accepts, counted as JSON in UTF-8, as the runtime writes it."""

    def __init__(self, size: int) -> None:
        super().__init__(f"The function returned {size:,} bytes; Lambda takes {MAX_RETURNED_BYTES:,}.")


class Invoker(Protocol):
    """Invokes a function and waits for its result, as Lambda's RequestResponse does."""

    def __call__(self, function: Function, event: Mapping[str, Any]) -> Any:
        """The result, after a round trip through JSON. Raises FunctionFailed (also FunctionThrottled) and
        FunctionTimedOut.
        """


@dataclass(frozen=True)
class Context:
    """Lambda's context, with the members that functions use."""

    function_name: str
    memory_limit_in_mb: int
    aws_request_id: str
    deadline: float

    @property
    def invoked_function_arn(self) -> str:
        return function_arn(self.function_name)

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.deadline - time.time()) * 1000))


def call(function: Function, event: Mapping[str, Any]) -> Any:
    """Calls a function in this process; its event and result pass through JSON as in Lambda.

    Raises FunctionFailed for whatever the function raises.
    """
    context = Context(function.name, function.memory, str(uuid4()), time.time() + function.timeout)
    module, _, attribute = function.handler.rpartition(".")
    try:
        handler: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        returned = json.dumps(handler(json.loads(json.dumps(event)), context), ensure_ascii=False)
        if (size := len(returned.encode(errors="surrogatepass"))) > MAX_RETURNED_BYTES:
            raise _TooMuchReturned(size)
        return json.loads(returned)
    except _TooMuchReturned as error:
        raise FunctionFailed("Function.ResponseSizeTooLarge", str(error), f"{error}\n") from None
    except Exception as error:
        # The frames before the function's are this module's and the import machinery's.
        where = "".join(traceback.format_exception(error.with_traceback(_of_the_function(error.__traceback__))))
        raise FunctionFailed(type(error).__name__, str(error), where) from error


class Workers:
    """A pool of `size` processes, each of which can run every function. All functions share one environment (Globals).

    The functions named in `own` have pools of their own, of so many processes, which start with the first event. They
    wait for services that are not on this machine, and would keep requests waiting.

    Changed code gets new pools; the old ones finish the requests that they have begun. A pool of which an idle process
    was killed takes nothing more, and is replaced at the next event.
    """

    def __init__(self, environment: Mapping[str, str], size: int, own: Mapping[str, int] | None = None) -> None:
        # Workers are forked from a server that has imported the functions' dependencies and has no thread or
        # connection.
        self._methods = multiprocessing.get_context("forkserver")
        self._methods.set_forkserver_preload(["local.preload"])
        self._environment = dict(environment)
        # The size of each pool, by the function that it is for; the one for all other functions has no name.
        self._sizes = {_ALL_OTHERS: size, **(own or {})}
        self._lock = threading.Lock()
        self._code = _code()
        self._looked = time.monotonic()
        # Pools that take nothing more, each with the thread that waits for it to finish.
        self._ended: list[tuple[ProcessPool, threading.Thread]] = []
        self._pools = self._new_pools(start_worker)
        self._running: Counter[str] = Counter()
        self._stopped = False

    def __call__(self, function: Function, event: Mapping[str, Any]) -> Any:
        """Invokes as Invoker documents. Failures are shown in the terminal, as they would be in the function's log."""
        with self._lock:
            if function.concurrency is not None and self._running[function.name] >= function.concurrency:
                say(f"{function.name} was throttled: its reserved concurrency is {function.concurrency}")
                raise FunctionThrottled(function.name)
            self._renew()
            future = self._scheduled(function, event)
            self._running[function.name] += 1
        try:
            return self._result(function, future)
        finally:
            with self._lock:
                self._running[function.name] -= 1

    def _scheduled(self, function: Function, event: Mapping[str, Any]) -> "Future[Any]":
        """Gives the event to the function's pool."""
        name = function.name if function.name in self._pools else _ALL_OTHERS
        pool = self._pools[name]
        if not self._stopped and not pool.active:
            self._finish(pool)
            pool = self._pools[name] = self._new_pool(start_worker_anew, self._sizes[name])
        future: Future[Any] = pool.schedule(_run, args=(function, event), timeout=function.timeout)
        return future

    @staticmethod
    def _result(function: Function, future: "Future[Any]") -> Any:
        try:
            result = future.result()
        except Expired:
            say(f"{function.name} timed out after {function.timeout} s")
            raise FunctionTimedOut(function.name) from None
        except ProcessExpired as error:
            say(f"{function.name} | its process ended with status {error.exitcode}")
            raise FunctionFailed("Runtime.ExitError", f"the process ended with status {error.exitcode}") from None
        except BrokenProcessPool:
            say(f"{function.name} | its process ended")
            raise FunctionFailed("Runtime.ExitError", "the process ended") from None
        if "raised" in result:
            raise FunctionFailed(*result["raised"])
        return result["returned"]

    def _renew(self) -> None:
        """Makes new pools when the code has changed."""
        now = time.monotonic()
        if now - self._looked < LOOK_AGAIN_AFTER:
            return
        self._looked = now
        code = _code()
        if code == self._code:
            return
        self._code = code
        say("The code has changed.")
        ended, self._pools = self._pools, self._new_pools(start_worker_anew)
        self._ended = [(pool, thread) for pool, thread in self._ended if thread.is_alive()]
        for pool in ended.values():
            pool.close()
            self._finish(pool)

    def _finish(self, pool: ProcessPool) -> None:
        """Waits in a thread until the pool, which takes nothing more, has finished."""
        finishing = threading.Thread(target=pool.join, name="finishing", daemon=True)
        finishing.start()
        self._ended.append((pool, finishing))

    def _new_pools(self, initializer: Callable[[Mapping[str, str]], None]) -> dict[str, ProcessPool]:
        pools = {name: self._new_pool(initializer, size) for name, size in self._sizes.items()}
        # Processes start with the pool's first task, so submit one now.
        pools[_ALL_OTHERS].schedule(os.getpid, args=(), timeout=None)
        return pools

    def _new_pool(self, initializer: Callable[[Mapping[str, str]], None], size: int) -> ProcessPool:
        return ProcessPool(size, initializer=initializer, initargs=(self._environment,), context=self._methods)

    def stop(self) -> None:
        """Ends every process, busy ones too."""
        with self._lock:
            self._stopped = True
        for pool, _ in self._ended:
            pool.stop()
        for pool in self._pools.values():
            pool.stop()
        for pool in self._pools.values():
            pool.join()
        for _, finishing in self._ended:
            finishing.join()


def start_worker(environment: Mapping[str, str]) -> None:
    """Makes this process one that runs functions."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.update(environment)


def start_worker_anew(environment: Mapping[str, str]) -> None:
    """The same, but drops the functions' modules that were imported before this process was forked."""
    start_worker(environment)
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) and Path(str(module.__file__)).is_relative_to(_LAYERS):
            del sys.modules[name]
    importlib.invalidate_caches()
    # Python compares a bytecode file's age by the second, which is too coarse while a developer edits.
    sys.dont_write_bytecode = True


def _code() -> dict[str, int]:
    """The version of the functions' code: the modification time of each file."""
    paths = (path for folder in (_FUNCTIONS, _LAYERS) for path in folder.rglob("*.py"))
    found = {}
    for path in paths:
        with suppress(FileNotFoundError):  # an editor is just replacing the file
            found[str(path)] = path.stat().st_mtime_ns
    return found


def _run(function: Function, event: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(sys.stdout, FunctionOutput):
        sys.stdout.speaker = function.name
    try:
        return {"returned": call(function, event)}
    except FunctionFailed as failure:
        # An authorizer refuses by this message; it is no failure.
        if failure.message != "Unauthorized":
            print(failure.where, end="")
        return {"raised": (failure.error_type, failure.message)}


def _of_the_function(frames: TracebackType | None) -> TracebackType | None:
    """The frames from the first one in the functions' code on; all of them if there is none."""
    own = frames
    while own is not None:
        if Path(own.tb_frame.f_code.co_filename).is_relative_to(_FUNCTIONS):
            return own
        if Path(own.tb_frame.f_code.co_filename).is_relative_to(_LAYERS):
            return own
        own = own.tb_next
    return frames
