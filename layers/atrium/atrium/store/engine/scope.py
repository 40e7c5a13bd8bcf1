"""The scope of the work under way: whose rows it may touch, since when it runs, and what it has spent."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from atrium.telemetry import Spent


class Scope(NamedTuple):
    """The rows that the work may touch, and when it began (seconds of the monotonic clock)."""

    tenant: str | None
    began: float
    spent: Spent
    credentials: bool
    purges: bool
    due: bool
    everything: bool


_scope: ContextVar[Scope] = ContextVar("scope")


@contextmanager
def scope(
    tenant: str | None,
    *,
    credentials: bool = False,
    purges: bool = False,
    due: bool = False,
    everything: bool = False,
) -> Iterator[Spent]:
    """Limits the calls inside to this tenant's partitions. Gives the counters of what is spent inside.

    `credentials` adds the credentials of all tenants, `purges` the whole purge queue and the sweep's pulse,
    `due` the deliveries of all tenants that are due.
    `everything` has no limit and allows Scan; it is for the check of the table, and to find the tenants.
    """
    spent = Spent()
    token = _scope.set(Scope(tenant, time.monotonic(), spent, credentials, purges, due, everything))
    try:
        yield spent
    finally:
        _scope.reset(token)


def current() -> Scope | None:
    """The innermost scope, None outside of any."""
    return _scope.get(None)


def elapsed() -> float:
    """Seconds since the innermost scope began."""
    return time.monotonic() - _scope.get().began


def spent() -> Spent:
    """The counters of the innermost scope."""
    return _scope.get().spent
