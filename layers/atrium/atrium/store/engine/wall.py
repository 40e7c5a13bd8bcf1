"""The wall around a tenant: a hook under every call to the table, whichever rows the code above it asks for."""

from collections.abc import Iterator
from typing import Any

from atrium import keys
from atrium.store.engine.scope import current


class TenantWall(Exception):
    """A call would leave the caller's tenant, or look through the whole table. A defect in Atrium."""


_CALLS = {
    *("GetItem", "BatchGetItem", "TransactGetItems", "Query", "UpdateItem", "TransactWriteItems", "BatchWriteItem"),
}


def guard(params: dict[str, Any], model: Any, **_: Any) -> None:
    """A hook under every call of the client. Raises TenantWall for a key outside the scope, for a Scan without
    `everything`, and for PartiQL."""
    inner = current()
    if inner is None or model.name not in (_CALLS | {"Scan"} if inner.everything else _CALLS):
        raise TenantWall(f"{model.name} outside of a scope")
    if inner.everything:
        return
    for pk, sk in _touched(model.name, params):
        if pk.startswith(keys.CREDENTIAL_PREFIX):
            inside = inner.credentials
        elif (inner.purges and (pk.startswith(keys.PURGE_PREFIX) or pk == keys.PULSE.pk)) or (
            inner.due and pk.startswith(keys.DUE_PREFIX)
        ):
            inside = True
        elif inner.tenant is None:
            inside = False
        elif pk.startswith(keys.PURGE_PREFIX):
            inside = sk.startswith(f"{inner.tenant}#")
        elif pk.startswith(keys.DUE_PREFIX):
            inside = sk.partition("#")[2].startswith(f"{inner.tenant}#")
        else:
            inside = pk.startswith(keys.tenant_prefix(inner.tenant))
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
