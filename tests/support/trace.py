"""What the functions ask of AWS: which calls, how many of them one after the other, and which they are allowed."""

import importlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.session import Session

from atrium.store.engine import client as clients
from atrium.store.engine.table import Table
from local import functions
from local.functions import call
from local.template import Function, Template
from tests.support import iam
from tests.support.clock import NET

# The parts of which the functions' clients of the table are made, as client.py makes it. Tests that ask the table
# themselves have boto3's.
FUNCTIONS = Session(include_builtin_handlers=False)

# botocore's descriptions of services, read once in a process: by far the most of what a client takes to be made. The
# tests' own clients have botocore's as they are, since some rows of tests have bytes.
_DESCRIPTIONS, _OWN_DESCRIPTIONS = clients._Descriptions(), Loader()


@dataclass
class Call:
    """A call of the client by a function; times in seconds of one clock."""

    function: str
    operation: str
    asked: list[iam.Request]
    size: int
    began: float
    ended: float = 0.0


@dataclass
class Trace:
    """All calls since `clear`. The authorizer's are told apart by their function."""

    calls: list[Call] = field(default_factory=list)
    _function: str = ""
    _open: dict[int, Call] = field(default_factory=dict)

    def invoke(self, function: Function, event: Mapping[str, Any]) -> Any:
        self._function = function.name
        return call(function, event)

    def watch(self, client: Any) -> None:
        client.meta.events.register("before-parameter-build", self._begin)
        client.meta.events.register("after-call", self._end)

    def clear(self) -> None:
        self.calls.clear()

    def of(self, function: str) -> list[Call]:
        return [made for made in self.calls if made.function == function]

    def asked(self, function: str) -> list[iam.Request]:
        """What the function's calls asked of IAM."""
        return [request for made in self.of(function) for request in made.asked]

    def round_trips(self, function: str) -> int:
        """The longest chain of calls of which each began after the one before it had ended."""
        chain, free = 0, 0.0
        for made in sorted(self.of(function), key=lambda made: made.ended):
            if made.began >= free:
                chain, free = chain + 1, made.ended
        return chain

    def width(self, function: str) -> int:
        """The most calls at any moment."""
        made = self.of(function)
        return max((sum(one.began <= at.began < one.ended for one in made) for at in made), default=0)

    def _begin(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        asked = iam.requests(params, model, os.environ["TABLE_NAME"])
        made = Call(self._function, model.name, asked, items(params), time.monotonic())
        self.calls.append(made)
        self._open[threading.get_ident()] = made
        if (meeting := _meeting.get()) is not None:
            _meeting.set(None)
            meeting.arrive()
            meeting.wait_for_all()

    def _end(self, **_: Any) -> None:
        self._open[threading.get_ident()].ended = time.monotonic()


class Meeting:
    """Of so many reads."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._changed = threading.Condition()

    def arrive(self) -> None:
        with self._changed:
            self._expected -= 1
            self._changed.notify_all()

    def wait_for_all(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._expected == 0, NET), "not made at once"


# Where the next call has to be, if anywhere.
_meeting: ContextVar[Meeting | None] = ContextVar("meeting", default=None)


@contextmanager
def meeting() -> Iterator[None]:
    """Lets the first calls of what is read at once meet, as many at a time as there are threads: none is made before
    all of them have begun. So it can be told what is made at once, however slow the machine is."""
    together = Table.together

    def all_at_once(table: Table, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        width = table._threads._max_workers
        waves = [calls[first : first + width] for first in range(0, len(calls), width)]
        met = [partial(_meet, meeting, call) for wave in waves for meeting in [Meeting(len(wave))] for call in wave]
        return together(table, met)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Table, "together", all_at_once)
        yield


def _meet(meeting: Meeting, read: Callable[[], Any]) -> Any:
    _meeting.set(meeting)
    try:
        return read()
    finally:
        if _meeting.get() is meeting:  # there was nothing to be read
            _meeting.set(None)
            meeting.arrive()


def items(params: Mapping[str, Any]) -> int:
    """How many items a call names; 1 for one that names none."""
    if "TransactItems" in params:
        return len(params["TransactItems"])
    requests = params.get("RequestItems", {}).values()
    return sum(len(request["Keys"] if isinstance(request, dict) else request) for request in requests) or 1


# ---------------------------------------------------------------- permissions


@dataclass(frozen=True)
class _Running:
    """The function that runs, what its role says, and the place for what it was refused."""

    function: str
    statements: list[iam.Statement]
    refused: list[str]


_running: ContextVar[_Running | None] = ContextVar("running", default=None)


@contextmanager
def enforced(template: Template) -> Iterator[None]:
    """Refuses every call of this process's functions that the statements of their roles do not allow, as IAM would.
    What was refused fails the test in the end, too, if it swallowed that. A test that asks AWS from inside of a
    function, in a hook, does so in a context of its own.
    """
    statements = {name: iam.statements(template, name) for name in template.functions}
    refused: list[str] = []

    def import_module(name: str) -> Any:
        """The module that `call` wants, its handler saying which function runs."""
        module = importlib.import_module(name)

        def handler(event: Mapping[str, Any], context: Any) -> Any:
            name = context.function_name
            token = _running.set(_Running(name, statements[name], refused))
            try:
                return module.handler(event, context)
            finally:
                _running.reset(token)

        return SimpleNamespace(handler=handler)

    session = boto3.DEFAULT_SESSION or boto3.Session()
    boto3.DEFAULT_SESSION = session
    session._session.register_component("data_loader", _OWN_DESCRIPTIONS)
    # All clients made from now on inherit it; under one id it is there once. It comes last, since IAM judges what the
    # process has let out.
    for events in (session.events, FUNCTIONS.get_component("event_emitter")):
        events.register_last("before-parameter-build", _judge, unique_id="permissions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(functions, "importlib", SimpleNamespace(import_module=import_module))
        patch.setattr(clients, "Session", lambda **_: FUNCTIONS)
        patch.setattr(clients, "_Descriptions", lambda: _DESCRIPTIONS)
        yield
    assert not refused, f"The template does not allow {refused}"


def running() -> str | None:
    """The function that makes the call of a client at hand; None for a test."""
    now = _running.get()
    return now.function if now else None


def _judge(params: Mapping[str, Any], model: Any, **_: Any) -> None:
    now = _running.get()
    if now is None:
        return
    asked = iam.requests(params, model, os.environ["TABLE_NAME"])
    if missing := [request for request in asked if not iam.is_allowed(request, now.statements)]:
        now.refused.extend(f"{now.function} {request}" for request in missing)
        answer: Any = {"Error": {"Code": "AccessDeniedException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        raise ClientError(answer, model.name)
