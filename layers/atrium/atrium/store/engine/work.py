"""One request's work: what it read, what it means to write, and the answer that goes with it, committed together.

A writing request runs in two round trips. It reads everything its decision needs in one consistent call, its
idempotency record included; then it commits its writes, the conditions they rest on, and the record holding the very
bytes of the answer in one transaction. So a crash at any point leaves either nothing or everything: there is no state
in between, no lease, no key that gets stuck. When a condition fails, somebody else was faster: the request reads and
decides again. The loser of two requests with one idempotency key finds the winner's record on that second reading and
gives the winner's answer; so does one that was about to be refused for what the winner did (decision 0033).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from math import inf
from typing import Any, NamedTuple
from uuid import uuid4

from atrium import keys
from atrium.errors import Code, Inactive, KeyReused, Refusal, VersionRefused
from atrium.keys import Key
from atrium.models import ACTIVE, OPERATOR, Caller, timestamp
from atrium.settings import IDEMPOTENCY_DAYS
from atrium.store.engine.table import MAX_BATCH, ConditionFailed, Item, Range, Rows, Table, Write
from atrium.store.engine.wire import expressions, wire_item, wire_key


@dataclass(frozen=True)
class Outcome:
    """How a request ended. `answer` belongs to the caller of `run`: it is stored and given back as it is.

    `confirms` is for an answer that shows no data: its replay needs no right to read any. `once` is for the caller to
    add to the answer this one time: a secret, which is kept in no record.
    """

    answer: Mapping[str, Any]
    confirms: bool
    replayed: bool = False
    once: Mapping[str, str] = field(default_factory=dict)


# The attributes of an idempotency record that are no part of the answer.
_OWN = frozenset(("pk", "sk", "fingerprint", "confirms", "change", "ttl"))


class Replay(Exception):
    """The request was answered before, and may be answered the same again."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


class IdempotencyKey(NamedTuple):
    """`scope` names the operation and the key; `fingerprint` is the SHA-256 of all that was asked. A key that is `kept`
    never expires.
    """

    scope: tuple[str, ...]
    fingerprint: str
    kept: bool = False


# In the place of a version: every one.
ANY = "*"


@dataclass(frozen=True)
class Conditions:
    """The version of the thing that is changed is among the `expected`, and not among the `excluded`. Either may hold
    ANY; None is no condition."""

    expected: frozenset[str] | None = None
    excluded: frozenset[str] | None = None

    def __bool__(self) -> bool:
        return self.expected is not None or self.excluded is not None

    def require(self, version: str | None) -> None:
        """Of the version that a thing has now, None for one that is only being made. Raises VersionRefused."""
        now = frozenset() if version is None else frozenset((ANY, version))
        if self.expected is not None and not self.expected & now:
            raise VersionRefused(version, Code.VERSION_MISMATCH)
        if self.excluded is not None and self.excluded & now:
            raise VersionRefused(version, Code.VERSION_IS_CURRENT)


@dataclass
class _Change:
    """A write on one item while its transaction is being put together. Without an action it only checks."""

    action: str = "ConditionCheck"
    body: dict[str, Any] = field(default_factory=dict)
    expression: str | None = None
    conditions: list[str] = field(default_factory=list)
    values: Item = field(default_factory=dict)


class Work:
    """The unit of work of one request of `caller`, which asks for the conditions. `request` is the id of the request.

    `now` is the moment of the decision: after what was read for it. One that `finishes` what the request began is not
    judged by the state of its caller any more, and sees rows that are deleted and not purged; to any other they are not
    there.
    """

    def __init__(
        self,
        table: Table,
        caller: Caller,
        key: IdempotencyKey | None = None,
        conditions: Conditions = Conditions(),
        request: str | None = None,
        *,
        finishes: bool = False,
    ) -> None:
        self.caller = caller
        self.request = request
        self._finishes = finishes
        self.now = timestamp(datetime.now(UTC))
        self._table = table
        self._conditions = conditions
        self._idempotency = key
        self._record_key = self._key_of_record(key) if key else None
        self._record: Item | None = None
        self._seen: dict[Key, Item] = {}
        self._changes: dict[Key, _Change] = {}
        self._told: Item | None = None
        self.my_key = keys.principal(caller.tenant, caller.principal)
        self._judged = self._is_beyond_judgement
        # The ids of the events that each root was told by this decision, by the root's key.
        self.events: dict[Key, list[str]] = {}

    # ------------------------------------------------------------ reading

    def read(self, *wanted: Key, ranges: Sequence[Range] = ()) -> list[Rows]:
        """One round trip: the items under the keys (see `item`) and the ranges, whose items come back.

        The first one of a decision brings the caller's own row, too, whose state is judged before all else: so a
        caller that is suspended or deleted is refused from its next request on.

        Raises Inactive; Replay when the request was answered before by an answer that tells its caller nothing but what
        it did; and KeyReused when its idempotency key was used for another request.
        """
        single = [*wanted, self._record_key] if self._record_key else list(wanted)
        if not self._judged:
            single.append(self.my_key)
        batches = [single[position : position + MAX_BATCH] for position in range(0, len(single), MAX_BATCH)]
        calls: list[Callable[[], Any]] = [partial(self._table.get_all, batch) for batch in batches]
        calls += [partial(self._table.query, wanted) for wanted in ranges]
        results = self._table.together(calls)
        self.not_before(timestamp(datetime.now(UTC)))
        for _ in batches:
            found = results.pop(0)
            self._seen |= {key: row for key, row in found.items() if self._finishes or "deleted_at" not in row}
        if not self._judged:
            me = self.item(self.my_key)
            if me is None or me["status"] != ACTIVE:
                raise Inactive
            self._judged = True
        if self._record_key:
            self._meet_record(self._seen.get(self._record_key))
        return results

    def item(self, key: Key) -> Item | None:
        """An item that was read, None if there is none."""
        return self._seen.get(key)

    def require_settled(self, *wanted: Key) -> None:
        """For a refusal that rests on several items: a batch is not read at one moment. Raises ConditionFailed, so that
        the request decides again, unless all of them are together as they were read."""
        seen = {key: self._seen[key] for key in wanted if key in self._seen}
        if self._table.get_all_when_committed(wanted) != seen:
            raise ConditionFailed

    @property
    def me(self) -> Item:
        """The caller's own row, which the first reading brought."""
        return self._seen[self.my_key]

    def replay(self) -> None:
        """To be called where the caller is known to be allowed to read what the answer shows. Raises Replay if the
        request was answered before."""
        if self._record is not None:
            answer = {name: value for name, value in self._record.items() if name not in _OWN}
            raise Replay(Outcome(answer, self._record["confirms"], replayed=True))

    def not_before(self, moment: str) -> None:
        """The moment of the decision is not before that of something it rests on: the clocks of two processes differ,
        and what is shown of time never runs backwards."""
        self.now = max(self.now, moment)

    def match(self, version: int | str | None) -> None:
        """Holds the current version of the thing that is changed, None for one that is created, against the
        conditions. Raises VersionRefused."""
        self._conditions.require(None if version is None else str(version))

    @property
    def is_repeatable(self) -> bool:
        """Whether the answer is stored, to be given again."""
        return self._idempotency is not None

    @property
    def is_conditional(self) -> bool:
        return bool(self._conditions)

    # ------------------------------------------------------------ writing

    def put(self, key: Key, item: Item, when: str | None = "attribute_not_exists(#pk)", **values: Any) -> None:
        self._change(key, when, values, action="Put", body={"Item": wire_item({"pk": key.pk, "sk": key.sk, **item})})

    def update(self, key: Key, expression: str, when: str = "attribute_exists(#pk)", **values: Any) -> None:
        self._change(key, when, values, action="Update", expression=expression)

    def delete(self, key: Key, when: str | None = "attribute_exists(#pk)", **values: Any) -> None:
        self._change(key, when, values, action="Delete")

    def check(self, key: Key, when: str, **values: Any) -> None:
        """A condition on an item; one more on the same item if that is written too."""
        self._change(key, when, values)

    def tell(self, change: Item) -> None:
        """Keeps in the idempotency record which change it belongs to. No request reads that; the check of a restored
        table does, which may have the record and not the change."""
        self._told = change

    def _change(self, key: Key, when: str | None, values: Item, **write: Any) -> None:
        change = self._changes.setdefault(key, _Change())
        for name, value in write.items():
            setattr(change, name, value)
        if when is not None:
            change.conditions.append(when)
        change.values |= values

    # ------------------------------------------------------------ committing

    def run(self, decide: Callable[[], Outcome]) -> Outcome:
        """The outcome that `decide` gives once everything it wrote is committed, or the one given before.

        `decide` reads, then writes, then answers; it is called again from its reading whenever a condition it rested
        on no longer holds. Where it only checks, since all is as it should be already, its answer is kept under the
        idempotency key on these conditions: so a retry is answered the same, and does not undo another client's change.
        Without a key nothing is written. Raises Unavailable when it goes on for longer than a request may take.
        """
        losses = 0
        while True:
            self._seen, self._changes, self._record, self._told, self.events = {}, {}, None, None, {}
            self._judged = self._is_beyond_judgement
            self.now = timestamp(datetime.now(UTC))
            try:
                outcome = decide()
                if self._has_something_to_keep():
                    self._commit(outcome)
                return outcome
            except Replay as replay:
                return replay.outcome
            except ConditionFailed:
                losses += 1
                self._table.pause(losses)
            except Inactive:
                # Whatever was answered before is not for this caller any more.
                raise
            except Refusal:
                if not self._was_answered_meanwhile():
                    raise

    @property
    def _is_beyond_judgement(self) -> bool:
        """Whether the work need not find its caller active. An operator is no principal."""
        return self._finishes or self.caller.kind == OPERATOR

    def _has_something_to_keep(self) -> bool:
        writes = any(change.action != "ConditionCheck" for change in self._changes.values())
        return writes or bool(self._changes and self._idempotency)

    def _commit(self, outcome: Outcome) -> None:
        if self._idempotency and self._record_key:
            expiry = {} if self._idempotency.kept else {"ttl": int(time.time()) + IDEMPOTENCY_DAYS * 86_400}
            self.put(
                self._record_key,
                {
                    "fingerprint": self._idempotency.fingerprint,
                    **outcome.answer,
                    "confirms": outcome.confirms,
                    **({"change": self._told} if self._told else {}),
                    **expiry,
                },
                when="attribute_not_exists(#pk) OR #ttl <= :clock",
                clock=int(time.time()),
            )
        self._table.transact([_write(key, change) for key, change in self._changes.items()], str(uuid4()))

    # ------------------------------------------------------------ the idempotency record

    def _was_answered_meanwhile(self) -> bool:
        """Whether a twin of this request committed while this one read.

        This request may have seen what its twin changed (the project gone, its own role lost, a newer version) and not
        yet its record: a batch is not read at one moment, nor is a commit visible at one. Where anything of it is, the
        record is there, or under way.
        """
        if self._record_key is None or self._record is not None:
            return False
        record = self._table.get_when_committed(self._record_key)
        return record is not None and self._is_valid(record) and self._is_same(record)

    @staticmethod
    def _is_valid(record: Item) -> bool:
        return bool(record.get("ttl", inf) > time.time())

    def _is_same(self, record: Item) -> bool:
        return self._idempotency is not None and record["fingerprint"] == self._idempotency.fingerprint

    def _key_of_record(self, key: IdempotencyKey) -> Key:
        parts = (self.caller.principal, *key.scope)
        return keys.idempotency(self.caller.tenant, sha256("\n".join(parts).encode()).hexdigest())

    def _meet_record(self, record: Item | None) -> None:
        if record is None or self._idempotency is None or not self._is_valid(record):
            return
        if not self._is_same(record):
            raise KeyReused
        self._record = record
        if record["confirms"]:
            self.replay()


def _write(key: Key, change: _Change) -> Write:
    request = dict(change.body) if change.action == "Put" else {"Key": wire_key(key)}
    condition = " AND ".join(f"({condition})" for condition in change.conditions)
    request |= expressions(change.values, UpdateExpression=change.expression, ConditionExpression=condition)
    return Write(change.action, request)
