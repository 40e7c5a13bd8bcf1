"""Whose credential is it. The one thing that is looked up before the tenant is known."""

import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from atrium import keys
from atrium.errors import Unavailable
from atrium.models import Caller, timestamp
from atrium.store.engine.scope import scope
from atrium.store.engine.table import ConditionFailed, Item, Table
from atrium.store.rows import to_issuer, to_narrowing

# How long a process may go on with what it knows of a credential. A request that it lets in last may take 8.5 s more:
# so a revoked credential has ended after 30 s, with all that it began.
CACHE_SECONDS = 20
CACHE_SIZE = 1_000

# last_used is written at most this often; on every request it would be the busiest item of the table.
LAST_USED_EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class _Known:
    caller: Caller
    until: float
    expires_at: str | None


class Credentials:
    """Recognises credentials, remembering each for at most CACHE_SECONDS."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def caller(self, hashed: str) -> Caller | None:
        """Whose credential has this digest; None for one that is unknown, expired or revoked. Raises Unavailable."""
        known = self._known.get(hashed)
        now = timestamp(datetime.now(UTC))
        if known is None or known.until <= time.monotonic():
            known = self._look_up(hashed, now)
            if known is None:
                self._known.pop(hashed, None)
                return None
            self._known[hashed] = known
            self._known.move_to_end(hashed)
            if len(self._known) > CACHE_SIZE:
                self._known.popitem(last=False)
        return None if known.expires_at is not None and known.expires_at <= now else known.caller

    def _look_up(self, hashed: str, now: str) -> _Known | None:
        key = keys.credential(hashed)
        with scope(None, credentials=True):
            item = self._table.get(key)
            if item is None or "revoked_at" in item:
                return None
            self._note_use(key, item, now)
        caller = Caller(
            item["tenant"],
            item["principal"],
            item["principal_kind"],
            item["id"],
            to_narrowing(item),
            to_issuer(item),
        )
        return _Known(caller, time.monotonic() + CACHE_SECONDS, item.get("expires_at"))

    def _note_use(self, key: keys.Key, item: Item, now: str) -> None:
        hour_ago = timestamp(datetime.now(UTC) - LAST_USED_EVERY)
        if item.get("last_used", "") > hour_ago:
            return
        # That another process noted it first, or that nobody could, is not the caller's trouble.
        with suppress(ConditionFailed, Unavailable):
            self._table.touch(
                key,
                "SET #last_used = :now",
                "attribute_exists(#pk) AND (attribute_not_exists(#last_used) OR #last_used <= :hour_ago)",
                {"now": now, "hour_ago": hour_ago},
            )
