"""The wall around a tenant: a hook under every call to the table, whatever the code above it asks for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from atrium import keys


class TenantWall(Exception):
    """A request that would leave the caller's tenant, or look through the whole table. A defect in Atrium."""


@dataclass
class Spent:
    """What a request took beyond its first attempt: calls made again after a failure that passes, and decisions made
    again after a lost race.
    """

    retries: int = 0
    lost_races: int = 0


@dataclass(frozen=True)
class Scope:
    """What one request may touch, and when it began (seconds of the monotonic clock)."""

    tenant: str | None
    began: float
    spent: Spent
    credentials: bool
    purges: bool
    everything: bool


_scope: ContextVar[Scope] = ContextVar("scope")

_CALLS = {
    *("GetItem", "BatchGetItem", "TransactGetItems", "Query", "UpdateItem", "TransactWriteItems", "BatchWriteItem"),
}


@contextmanager
def scope(
    tenant: str | None, *, credentials: bool = False, purges: bool = False, everything: bool = False
) -> Iterator[Spent]:
    """Everything inside touches only this tenant's partitions; credentials, and the whole purge queue with the sweep's
    pulse, only where that is said. `everything` is for the check of the table alone: no wall, and Scan. Gives what is
    spent inside.
    """
    spent = Spent()
    token = _scope.set(Scope(tenant, time.monotonic(), spent, credentials, purges, everything))
    try:
        yield spent
    finally:
        _scope.reset(token)


def elapsed() -> float:
    """Seconds since the innermost scope began."""
    return time.monotonic() - _scope.get().began


def spent() -> Spent:
    """What has been spent in the innermost scope."""
    return _scope.get().spent


def guard(params: dict[str, Any], model: Any, **_: Any) -> None:
    """A hook under every call of the client: refuses any key outside the scope, Scan outside of `everything`, and
    PartiQL."""
    current = _scope.get(None)
    if current is None or model.name not in (_CALLS | {"Scan"} if current.everything else _CALLS):
        raise TenantWall(f"{model.name} outside of a scope")
    if current.everything:
        return
    for pk, sk in _touched(model.name, params):
        if pk.startswith(keys.CREDENTIAL_PREFIX):
            inside = current.credentials
        elif current.purges and (pk.startswith(keys.PURGE_PREFIX) or pk == keys.PULSE.pk):
            inside = True
        elif current.tenant is None:
            inside = False
        elif pk.startswith(keys.PURGE_PREFIX):
            inside = sk.startswith(f"{current.tenant}#")
        else:
            inside = pk.startswith(keys.tenant_prefix(current.tenant))
        if not inside:
            raise TenantWall(f"{model.name} outside of its tenant")


def _touched(operation: str, params: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if operation == "Query":
        # Any other condition on the partition would name its placeholder differently and fail here.
        if not params["KeyConditionExpression"].startswith("pk = :pk"):
            raise TenantWall("Query without a fixed partition")
        yield params["ExpressionAttributeValues"][":pk"]["S"], ""
        return
    for key in _keys(operation, params):
        yield key["pk"]["S"], key["sk"]["S"]


def _keys(operation: str, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    match operation:
        case "BatchGetItem":
            for request in params["RequestItems"].values():
                yield from request["Keys"]
        case "BatchWriteItem":
            for requests in params["RequestItems"].values():
                yield from (request["DeleteRequest"]["Key"] for request in requests)
        case "TransactGetItems" | "TransactWriteItems":
            for action in params["TransactItems"]:
                yield from (request.get("Key") or request["Item"] for request in action.values())
        case _:
            yield params["Key"]
