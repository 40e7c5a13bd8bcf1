"""The commands of an operator: provisioning, and the credentials of a principal.

An event is the request, the result is the answer. Rules and idempotency are those of HTTP.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, TypeVar

from pydantic import BaseModel

from atrium import documents
from atrium.automation.invocation import Handler, committed, parsed, refusals_told
from atrium.cold_start import warm
from atrium.ids import from_uuid, to_uuid
from atrium.models import OPERATOR, Caller
from atrium.provisioning import Holder, Issue, Provisioning, Revocation, Rotation
from atrium.store.engine.scope import scope
from atrium.store.engine.table import connect, table
from atrium.store.engine.work import IdempotencyKey, Work
from atrium.store.keyring import Issued, Keyring, Listed, Revoked, Rotated
from atrium.store.tenants import Provisioned, Tenants, tenant_of

Request = TypeVar("Request", Issue, Rotation, Revocation)
Changed = Issued | Rotated | Revoked


def provisioning_handler() -> Handler:
    """The handler. Its result names everything that was made, with secrets the first time only. Raises Refused
    and Unavailable."""
    warm(connect)

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        with refusals_told():
            return _provision(parsed(Provisioning, event), context.aws_request_id)

    return handler


def issuing_handler() -> Handler:
    """The handler. Its result has the secret the first time only. Raises Refused and Unavailable."""
    return _keyring_handler(Issue, Keyring.issue)


def rotating_handler() -> Handler:
    """The handler. Its result has the new secret the first time only. Raises Refused and Unavailable."""
    return _keyring_handler(Rotation, Keyring.rotate)


def revoking_handler() -> Handler:
    """The handler. Raises Refused and Unavailable."""
    return _keyring_handler(Revocation, Keyring.revoke)


def listing_handler() -> Handler:
    """The handler. Raises Refused and Unavailable."""
    warm(connect)

    def handler(event: Mapping[str, Any], _: Any) -> dict[str, Any]:
        with refusals_told():
            return _list(parsed(Holder, event))

    return handler


def _list(request: Holder) -> dict[str, Any]:
    with scope(request.tenant_id, credentials=True):
        work = Work(table(), Caller(request.tenant_id, request.principal_id, OPERATOR))
        return {"credentials": [_listed(credential) for credential in Keyring(work).of(request.principal_id)]}


def _keyring_handler(model: type[Request], change: Callable[[Keyring, Request], Changed]) -> Handler:
    warm(connect)

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        with refusals_told():
            return _changed(parsed(model, event), change, context.aws_request_id)

    return handler


def _changed(request: Request, change: Callable[[Keyring, Request], Changed], invocation: str) -> dict[str, Any]:
    with scope(request.tenant_id, credentials=True):
        token = getattr(request, "request_token", None)
        work = _work(request.tenant_id, type(request).__name__, token, request, invocation)
        keyring = Keyring(work)
        outcome = committed(work, "request_token", 200, lambda: _told(change(keyring, request)))
    result: dict[str, Any] = documents.parse(outcome.answer["body"])
    if not outcome.replayed:
        _show(keyring, result)
    return result


def _show(keyring: Keyring, credential: dict[str, Any]) -> None:
    """Adds the secret that was made for a credential. It is shown once and stored nowhere."""
    if secret := keyring.secrets.get(from_uuid(credential["credential_id"])):
        credential["secret"] = secret


def _work(tenant: str, operation: str, token: str | None, request: BaseModel, invocation: str) -> Work:
    """The unit of work of an operator's request. With a token the request is done once, however often it is sent."""
    fingerprint = sha256(documents.canonical(request.model_dump(mode="json")).encode()).hexdigest()
    key = IdempotencyKey((operation, token), fingerprint, kept=True) if token else None
    return Work(table(), Caller(tenant, "provision", OPERATOR), key, request=invocation)


def _provision(request: Provisioning, invocation: str) -> dict[str, Any]:
    tenant = tenant_of(request)
    with scope(tenant, credentials=True):
        work = _work(tenant, "provision", request.request_token, request, invocation)
        tenants = Tenants(work)
        outcome = committed(work, "request_token", 200, lambda: _made(tenants.provision(request)))
    result: dict[str, Any] = documents.parse(outcome.answer["body"])
    if not outcome.replayed:
        for principal in result["principals"]:
            for credential in principal["credentials"]:
                _show(tenants.keyring, credential)
    return result


# ---------------------------------------------------------------- how results are spelled


def _told(credential: Changed) -> dict[str, Any]:
    fields = credential._asdict()
    return {"credential_id": to_uuid(fields.pop("id")), **fields}


def _listed(credential: Listed) -> dict[str, Any]:
    fields = credential._asdict()
    shown = {"credential_id": to_uuid(credential.id), "kind": credential.kind}
    shown |= {name: fields[name] for name in ("issuer", "subject") if fields[name] is not None}
    shown |= {"created_at": credential.created_at, **credential.life._asdict()}
    return shown | ({"previous": credential.previous._asdict()} if credential.previous else {})


def _made(provisioned: Provisioned) -> dict[str, Any]:
    return {
        "tenant_id": to_uuid(provisioned.tenant),
        "spaces": [{"space_id": to_uuid(id), "name": name} for name, id in provisioned.spaces.items()],
        "principals": [
            {
                "principal_id": to_uuid(principal.id),
                "id": principal.id,
                "name": principal.name,
                "email": principal.email,
                "credentials": list(map(_told, principal.credentials)),
            }
            for principal in provisioned.principals
        ],
    }
