"""Time as the functions have it in tests: it passes where something waits on purpose, never because a machine is slow
or busy (decision 0016).

The budget of a request, the memory of a credential, the deadline of a batch: all of them are read off a `Clock`, in
this process as in those of `Workers`. Another process and a socket are waited for in earnest: their bound is a NET.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from botocore.endpoint import EndpointCreator
from botocore.exceptions import ReadTimeoutError
from pebble import ProcessPool

from local import functions
from local.functions import FunctionTimedOut, start_worker
from local.template import Function

# The modules in which a figure bounds how long something takes.
_BOUNDED = (
    "atrium.automation.streams",
    "atrium.automation.webhooks",
    "atrium.issuer_keys",
    "atrium.store.credentials",
    "atrium.store.outbox",
    "atrium.store.purge",
    "atrium.store.engine.table",
    "atrium.store.engine.scope",
    "local.functions",
)

# Seconds that the functions' client waits for an answer, on the clock.
READ_TIMEOUT = 1.5

# The answer in the table's stead where a test means that the table does not answer at all.
HANGS = "Hangs"

# A net for what is waited for in earnest, in seconds: less than a test may take, and much more than anything does.
NET = 240


class Clock:
    """Stands for the module `time` in those modules. It begins with the time that they have, at first the real one, and
    passes only by `sleep` and `wait`; `waited` is by how much. Waits at the same time pass together. `sleeps` says how
    a sleep is spent.
    """

    def __init__(self, sleeps: Callable[[float], object] = time.sleep) -> None:
        self.waited = 0.0
        self._sleeps = sleeps
        # Where it takes another one's place, the real time between the two is none for the functions.
        before: Any = import_module(_BOUNDED[0])
        self._began: tuple[float, float] = before.time.time(), before.time.monotonic()

    def time(self) -> float:
        return self._began[0] + self.waited

    def monotonic(self) -> float:
        return self._began[1] + self.waited

    def sleep(self, seconds: float) -> None:
        since = self.waited
        self._sleeps(seconds)
        self.wait(since, seconds)

    def wait(self, since: float, seconds: float) -> None:
        """So many seconds pass that began when `waited` was `since`."""
        self.waited = max(self.waited, since + seconds)


def unhurried() -> Clock:
    """A clock on which a sleep passes at once."""
    return Clock(lambda _: None)


def install(clock: Clock, put: Callable[[object, str, object], None] = setattr) -> None:
    """From here on the functions of this process read this clock."""
    for name in _BOUNDED:
        put(import_module(name), "time", clock)


def be_patient() -> None:
    """From here on no client that this process makes gives a service up for being slow."""

    def create_endpoint(self: EndpointCreator, *args: Any, **more: Any) -> Any:
        return impatient(self, *args, **{**more, "timeout": (NET, NET)})

    EndpointCreator.create_endpoint = create_endpoint  # type: ignore[method-assign]


# The method that it takes the place of.
impatient = EndpointCreator.create_endpoint


# ---------------------------------------------------------------- in the functions' processes


class Workers(functions.Workers):
    """The functions' processes, on a clock each."""

    def _new_pool(self, initializer: Callable[[Mapping[str, str]], None], size: int) -> ProcessPool:
        pool = super()._new_pool(begin, size)
        schedule = pool.schedule
        pool.schedule = lambda run, args, timeout: schedule(run, args=args)
        return pool


def begin(environment: Mapping[str, str]) -> None:
    """Makes this process one that runs functions on a clock. Its proxy says by HANGS that a call is not answered, and a
    function that takes longer than it may, on the clock, is over its time.
    """
    start_worker(environment)
    be_patient()
    clock = Clock()
    install(clock)
    tables, call = import_module("atrium.store.engine.table"), functions.call
    dynamodb = tables.dynamodb

    def client() -> Any:
        made = dynamodb()
        made.meta.events.register("before-call", asked)
        made.meta.events.register("after-call", answered)
        return made

    def asked(context: dict[str, Any], **_: Any) -> None:
        context["since"] = clock.waited

    def answered(parsed: Mapping[str, Any], context: Mapping[str, Any], **_: Any) -> None:
        if parsed.get("Error", {}).get("Code") == HANGS:
            clock.wait(context["since"], READ_TIMEOUT)
            raise ReadTimeoutError(endpoint_url="the tests' proxy")

    def timed(function: Function, event: Mapping[str, Any]) -> Any:
        since = clock.waited
        with telling(event.get(MOMENT)):
            result = call(function, event)
        if clock.waited - since > function.timeout:
            raise FunctionTimedOut(function.name)
        return result

    for module, name, own in ((tables, "dynamodb", client), (functions, "call", timed)):
        setattr(module, name, own)


# The modules that ask what moment it is.
_TELLING = (
    "atrium.automation.webhooks",
    "atrium.store.engine.work",
    "atrium.store.ledger",
    "atrium.store.recoveries",
)

# In an event of a test: the moment that it is for the function, in seconds since 1970, if not the present.
MOMENT = "moment"


@contextmanager
def telling(moment: float | None) -> Iterator[None]:
    """Inside, the functions' decisions and the ledger are of this moment, in which time stands still."""
    told = [import_module(name) for name in _TELLING]
    if moment is not None:
        then = datetime.fromtimestamp(moment, UTC)
        still = SimpleNamespace(now=lambda _: then, fromisoformat=datetime.fromisoformat)
        for module in told:
            vars(module)["datetime"] = still
    try:
        yield
    finally:
        for module in told:
            vars(module)["datetime"] = datetime


def run_alone(environment: Mapping[str, str], function: Function, event: Mapping[str, Any]) -> None:
    """All that a process does in which one function runs once."""
    begin(environment)
    functions.call(function, event)
