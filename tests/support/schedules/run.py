"""One run: its requests, what became of them, and the scheduler's end of each actor."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from atrium.keys import Key
from tests.support.actor import ENDS
from tests.support.client import Answer
from tests.support.direct import key_of
from tests.support.schedules.cases import Sent
from tests.support.schedules.rows import Rows, Transaction, items_of, written_by


@dataclass(eq=False)
class Attempt:
    """One sending of a request. Steps are numbered from 0; `answer` is None for one that crashed. `commits` are its
    commits, `changes` those of them that changed something."""

    actor: int
    sent: Sent
    began: int = -1
    ended: int = -1
    commits: int = 0
    changes: int = 0
    answer: Answer | None = None

    @property
    def succeeded(self) -> bool:
        """Whether it was answered that it did what it asks for, by itself and not by a twin."""
        return self.answer is not None and self.answer.status < 300 and not self.answer.replayed


@dataclass
class Run:
    """The course of a run. `options` are, for each step, all that could have been chosen for it; `deleted` has the ids
    of what there is to purge."""

    case: str
    attempts: list[Attempt] = field(default_factory=list)
    schedule: str = ""
    options: list[Sequence[str]] = field(default_factory=list)
    commits: list[Attempt] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    changed: dict[Key, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.case}:{self.schedule}"

    @property
    def observed(self) -> dict[int, Answer | None]:
        """For each request the last answer to it; None if there was none."""
        return {attempt.actor: attempt.answer for attempt in self.attempts}


class Actor:
    """The scheduler's end of an actor. `waits` is the call that the actor would make."""

    def __init__(self, pipe: Connection, rows: Rows) -> None:
        self._pipe = pipe
        self._rows = rows
        self.waits: tuple[str, dict[str, Any]] | None = None
        self.attempt: Attempt
        self._torn: Any = None
        self._hidden: list[Key] = []
        self._answer: Any = None

    def begin(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self._pipe.send(attempt.sent.raw)
        self._next()

    @property
    def is_held_up(self) -> bool:
        """Whether its call is in conflict with a commit, and would be until that is visible."""
        return self.waits is not None and not self.commits and self._rows.in_conflict(*self.waits)

    @property
    def commits(self) -> bool:
        """Whether its commit is not yet visible."""
        return bool(self._hidden)

    def crash(self, after: bool) -> Transaction | None:
        """Ends the process, before its call takes effect or after. The transaction that was committed."""
        committed = self._made()[2] if after else None
        self._torn = None
        while self._hidden:
            self._show()
        self._pipe.send((ENDS, None))
        self._next()
        return committed

    def step(self) -> Transaction | None:
        """Makes the call, or the first half of it; or lets one more item of its commit be seen. The transaction that
        was committed."""
        if self._hidden:
            self._show()
            if not self._hidden:
                self._pipe.send((None, self._answer))
                self._next()
            return None
        before = self._before()
        error, answer, committed = self._made()
        if committed and before:
            self._answer, self._hidden = answer, list(before)
            self._rows.hidden |= before
            self.step()
            return committed
        if self.waits and self.waits[0] in ("BatchGetItem", "Query") and self.attempt.sent.torn:
            if self._torn is None:
                self._torn = answer
                return None
            answer = self._merged(self.waits[0], self._torn, answer)
            self._torn = None
        self._pipe.send((error, answer))
        self._next()
        return committed

    def _show(self) -> None:
        del self._rows.hidden[self._hidden.pop(0)]

    def _before(self) -> dict[Key, Any]:
        """What is under the keys that the call would write, in the order in which that will be seen; nothing if all of
        it will be at once."""
        first = self.attempt.sent.shown
        if not first or self.waits is None or self.waits[0] != "TransactWriteItems":
            return {}
        written = written_by(self.waits[1])
        if first < 0:
            written.reverse()
        first = (abs(first) - 1) % len(written)
        found = self._rows.under(written)
        return {key: found.get(key) for key in written[first:] + written[:first]}

    def _made(self) -> tuple[str | None, Any, Transaction | None]:
        assert self.waits is not None
        operation, params = self.waits
        if "ProjectionExpression" in params:
            # The scheduler needs the keys, too.
            params = {**params, "ProjectionExpression": f"{params['ProjectionExpression']}, pk, sk"}
        error, answer = self._rows.call(operation, params)
        if self._rows.hidden and operation in ("BatchGetItem", "Query"):
            answer = self._rows.seen(operation, params, answer)
        return error, answer, params if operation == "TransactWriteItems" and error is None else None

    def _merged(self, operation: str, first: Any, second: Any) -> Any:
        """The answer of a read that was not made at one moment."""
        place = self.attempt.sent.torn
        one, others = (first, second) if place > 0 or operation == "Query" else (second, first)
        found = [items_of(operation, answer) for answer in (one, others)]
        known = sorted({key_of(item) for items in found for item in items})
        if not known:
            return others
        split = known[(abs(place) - 1) % len(known)]
        if operation == "Query":
            merged = [item for item in found[0] if key_of(item) <= split]
            return {**others, "Items": merged + [item for item in found[1] if key_of(item) > split]}
        merged = [item for item in found[0] if key_of(item) == split] + [
            item for item in found[1] if key_of(item) != split
        ]
        return {**others, "Responses": {self._rows.name: merged}}

    def _next(self) -> None:
        """Receives what the actor does next. The calls of the authorizer are made at once."""
        while True:
            kind, *said = self._pipe.recv()
            if kind != "aside":
                break
            self._pipe.send(self._rows.call(*said))
        self.waits = None
        if kind == "call":
            self.waits = (said[0], said[1])
        elif kind == "answer":
            status, headers, content = said
            self.attempt.answer = Answer(status, {name.lower(): value for name, value in headers}, content)
