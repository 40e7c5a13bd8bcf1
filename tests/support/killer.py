"""A function whose process is killed at one of its calls to the table."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping
from itertools import count
from typing import Any

from local.functions import FunctionFailed
from local.template import Function
from tests.support.clock import run_alone
from tests.support.proxy import Proxy
from tests.support.world import Crowd


class Killer:
    """Runs a function in a process of its own that is killed at a call to the table, before or after it takes
    effect.
    """

    def __init__(self, crowd: Crowd, name: str, at: int, when: str) -> None:
        self._crowd, self._name, self._at, self._when = crowd, name, at, when
        self._process: Any = None
        self._calls = count(1)
        self._call: int | None = None
        self.killed = False

    def __call__(self, function: Function, event: Mapping[str, Any]) -> Any:
        """As an Invoker; other functions run undisturbed."""
        if function.name != self._name:
            return self._crowd.invoke(function, event)
        # A proxy of its own, so that nobody else's calls are counted.
        proxy = Proxy(self._crowd.proxy.url)
        proxy.before, proxy.after = self._before, self._after
        with proxy.served():
            environment = self._crowd.environment | {"AWS_ENDPOINT_URL_DYNAMODB": proxy.url}
            methods = multiprocessing.get_context("forkserver")
            self._process = methods.Process(target=run_alone, args=(environment, function, dict(event)))
            self._process.start()
            self._process.join()
        raise FunctionFailed("Runtime.ExitError", f"ended with {self._process.exitcode}")

    def _before(self, operation: str, request: dict[str, Any]) -> str | None:
        if next(self._calls) != self._at:
            return None
        if self._when == "before":
            self._kill()
            return "InternalServerError"
        self._call = threading.get_ident()
        return None

    def _after(self, operation: str, request: dict[str, Any]) -> None:
        if self._call == threading.get_ident():
            self._kill()

    def _kill(self) -> None:
        self._call = None
        self.killed = True
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
