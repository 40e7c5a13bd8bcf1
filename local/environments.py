"""Runs the built functions as Lambda does: each in its own environments, in AWS's own runtime."""

import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local.functions import FunctionFailed, FunctionTimedOut
from local.rie import BUILD, PYTHON, Environment, built
from local.template import Function
from local.terminal import say

# Environments of one function. More would only compete for the processors, and leave fewer for other functions.
PER_FUNCTION = 2

# Seconds after which an idle environment is ended.
IDLE = 300.0


class Environments:
    """A pool of at most `size` environments, about 60 MB each, and at most PER_FUNCTION of one function.

    A request takes an idle environment of its function, or a new one. A full pool ends the environment that has been
    idle longest; if none is idle, the request waits. All functions share one set of variables (Globals).
    """

    def __init__(self, variables: Mapping[str, str], size: int, build: Path = BUILD) -> None:
        if sys.platform != "linux":
            sys.exit("RUNTIME=lambda needs Linux, which Lambda's runtime is made for.")
        if not build.exists() or not PYTHON.exists():
            sys.exit("RUNTIME=lambda runs what was built; make builds it: make run RUNTIME=lambda")
        self._variables = dict(variables)
        self._size = size
        self._build = build
        self._stopping = threading.Event()
        # An environment ends with the thread that made it, so one lasting thread makes them all.
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="environments")
        # Guards the fields below; notified when a place or an environment becomes free.
        self._changed = threading.Condition()
        # Existing environments, and the functions of those being made.
        self._all: set[Environment] = set()
        self._coming: list[Function] = []
        # Idle environments and since when, the oldest first.
        self._idle: OrderedDict[Environment, float] = OrderedDict()
        self._sweeper = threading.Thread(target=self._sweep, name="idle environments", daemon=True)
        self._sweeper.start()

    def __call__(self, function: Function, event: Mapping[str, Any]) -> Any:
        """Invokes as Invoker documents. Failures are shown in the terminal, as they would be in the function's log."""
        environment = self._take(function)
        try:
            return environment.invoke(event)
        except FunctionTimedOut:
            say(f"{function.name} timed out after {function.timeout} s")
            raise
        except FunctionFailed as failure:
            if failure.error_type == "Runtime.ExitError":
                say(f"{function.name} | {failure.message}")
            raise
        finally:
            self._give_back(environment)

    def stop(self) -> None:
        """Ends every environment, busy ones too."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        # In the maker's thread, after the environment that it may be making.
        self._maker.submit(lambda: self._end(*self._all)).result()
        self._maker.shutdown()
        self._sweeper.join()

    def _take(self, function: Function) -> Environment:
        """An environment of the function, reserved for the caller until it is given back."""
        with self._changed:
            while (environment := self._take_idle(function)) is None and not self._has_room(function):
                self._changed.wait()
            if self._stopping.is_set():
                raise FunctionFailed("Runtime.ExitError", "the instance is ending")
            if environment is not None:
                return environment
            full = len(self._all) + len(self._coming) >= self._size
            ended = [self._idle.popitem(last=False)[0]] if full else []
            self._coming.append(function)
        self._end(*ended)
        try:
            return self._maker.submit(self._make, function).result()
        except RuntimeError as error:  # also raised by a maker that was shut down
            raise FunctionFailed("Runtime.ExitError", f"no environment: {error}") from None
        finally:
            with self._changed:
                self._coming.remove(function)
                self._changed.notify_all()

    def _take_idle(self, function: Function) -> Environment | None:
        """The environment that was used last. Environments whose process has died are dropped."""
        for environment in [each for each in reversed(self._idle) if each.function == function]:
            del self._idle[environment]
            if environment.alive:
                return environment
            self._all.discard(environment)
        return None

    def _has_room(self, function: Function) -> bool:
        if self._stopping.is_set():
            return True
        taken = [environment.function for environment in self._all] + self._coming
        return taken.count(function) < PER_FUNCTION and (len(taken) < self._size or bool(self._idle))

    def _make(self, function: Function) -> Environment:
        if self._stopping.is_set():
            raise RuntimeError("the instance is ending")
        environment = Environment(function, self._variables, built(function, self._build))
        self._all.add(environment)
        return environment

    def _give_back(self, environment: Environment) -> None:
        with self._changed:
            if environment.alive:
                self._idle[environment] = time.monotonic()
            else:
                self._all.discard(environment)
            self._changed.notify_all()

    def _sweep(self) -> None:
        """Ends environments that have been idle for IDLE seconds; runs now and then."""
        while not self._stopping.wait(IDLE / 10):
            with self._changed:
                old = [environment for environment, since in self._idle.items() if time.monotonic() - since > IDLE]
                for environment in old:
                    del self._idle[environment]
            self._end(*old)

    def _end(self, *environments: Environment) -> None:
        for environment in environments:
            environment.stop()
            with self._changed:
                self._all.discard(environment)
                self._changed.notify_all()
