"""The process of an actor of schedules/. It imports little, since each actor is a process that begins with that."""

from collections.abc import Mapping
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from atrium.store import delegation
from atrium.store.engine import table as tables
from atrium.store.engine.table import Table
from local.functions import call
from local.gateway import Gateway
from local.template import Function
from tests.support.client import through
from tests.support.clock import begin

# In the place of an error's code: the process ends here.
ENDS = "Ends"


class _End(BaseException):
    """The end of a function's process: nothing catches it but the actor."""


class _Gate:
    """In an actor's process, stands in front of the client: hands each call to the scheduler and waits for its answer.
    `kind` says what calls are: `call`, or `aside` for those that are no steps.
    """

    def __init__(self, client: Any, pipe: Connection) -> None:
        self.kind = "call"
        self._client = client
        self._pipe = pipe

    def __getattr__(self, name: str) -> Any:
        operation = self._client.meta.method_to_api_mapping.get(name)
        return getattr(self._client, name) if operation is None else partial(self._call, operation)

    def _call(self, operation: str, **params: Any) -> Any:
        self._pipe.send((self.kind, operation, params))
        error, answer = self._pipe.recv()
        if error is None:
            return answer
        if error == ENDS:
            raise _End
        failed = {"Error": {"Code": error}, "ResponseMetadata": {"HTTPStatusCode": 400}, **answer}
        raise self._client.exceptions.from_code(error)(failed, operation)


def act(
    pipe: Connection,
    environment: Mapping[str, str],
    api: Mapping[str, Any],
    functions: Mapping[str, Function],
    stage: str,
    max_live: int,
) -> None:
    """Answers the requests that come through the pipe, until it is closed. A principal has at most `max_live`
    credentials."""
    begin(environment)
    delegation.MAX_LIVE = max_live
    made = tables.table()
    gate = made._client = _Gate(made._client, pipe)
    for name, done in {
        "together": lambda _, reads: [read() for read in reads],
        "pause": lambda *_: None,
        "_pause": lambda *_: None,
    }.items():
        setattr(Table, name, done)

    def invoke(function: Function, event: Mapping[str, Any]) -> Any:
        gate.kind = "aside" if function.name == "Authorizer" else "call"
        return call(function, event)

    send = through(Gateway(api, functions, invoke, stage))
    while True:
        try:
            request = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(("answer", *send(*request)))
        except _End:
            pipe.send(("crashed",))
