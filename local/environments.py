"""Runs the template's functions as Lambda does: each in environments of its own, of the real runtime, as they were
built.
"""

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

# Of one function. More of them would only take the processors from each other, and places from other functions.
MOST = 2

# Seconds after which an environment that nobody needs is ended.
IDLE = 300.0


class Environments:
    """At most `size` environments, which take about 60 MB each, and MOST of one function. A request that finds none of
    its function idle has one made; when there is no place left, the one that has been idle for longest makes room. Else
    it waits. All functions share one set of variables (Globals).
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
        # An environment ends with the thread that made it, so one that lasts makes them all.
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="environments")
        # Of all below; notified when a place or an idle environment may be had.
        self._changed = threading.Condition()
        # Those that are, and the functions of those that are being made.
        self._all: set[Environment] = set()
        self._coming: list[Function] = []
        # Since when, the oldest first.
        self._idle: OrderedDict[Environment, float] = OrderedDict()
        self._sweeper = threading.Thread(target=self._sweep, name="idle environments", daemon=True)
        self._sweeper.start()

    def __call__(self, function: Function, event: Mapping[str, Any]) -> Any:
        """As Invoker says. What went wrong is shown in the terminal, as it would be in the function's log."""
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
        """Ends every environment, whatever it does."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        # In the maker's thread, behind whatever it is making.
        self._maker.submit(lambda: self._end(*self._all)).result()
        self._maker.shutdown()
        self._sweeper.join()

    def _take(self, function: Function) -> Environment:
        """An environment of the function, which is the caller's until it is given back."""
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
        except RuntimeError as error:  # that of a maker that was shut down, too
            raise FunctionFailed("Runtime.ExitError", f"no environment: {error}") from None
        finally:
            with self._changed:
                self._coming.remove(function)
                self._changed.notify_all()

    def _take_idle(self, function: Function) -> Environment | None:
        """The one that was used last. Those that have died meanwhile are forgotten."""
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
        return taken.count(function) < MOST and (len(taken) < self._size or bool(self._idle))

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
        """Ends what has been idle for long, now and then."""
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
