"""Functions without a URL: an event in, a result out, under the same rules and the same exactly-once as HTTP."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from atrium import documents
from atrium.cold_start import warm
from atrium.errors import Detail, Invalid, Refusal
from atrium.models import Caller
from atrium.provisioning import Holder, Issue, Provisioning, Revocation, Rotation
from atrium.store.engine.scope import scope
from atrium.store.engine.table import connect, table
from atrium.store.engine.work import Answer, IdempotencyKey, Work
from atrium.store.keyring import Keyring
from atrium.store.tenants import Tenants, tenant_of

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
Request = TypeVar("Request", Issue, Rotation, Revocation)

Handler = Callable[[Mapping[str, Any], Any], dict[str, Any]]


class Refused(Exception):
    """What the invoker sees of a refusal: Lambda's errorType, and what to mend as its errorMessage."""


def provisioning_handler() -> Handler:
    """The handler. Its result names everything that was made; secrets only the first time. Raises Refused."""
    warm(connect)

    def handler(event: Mapping[str, Any], _: Any) -> dict[str, Any]:
        return mended(lambda: _provision(asked(Provisioning, event)))

    return handler


def issuing_handler() -> Handler:
    """The handler. Its result has the secret the first time only. Raises Refused."""
    return _keyring_handler(Issue, Keyring.issue)


def rotating_handler() -> Handler:
    """The handler. Its result has the new secret the first time only. Raises Refused."""
    return _keyring_handler(Rotation, Keyring.rotate)


def revoking_handler() -> Handler:
    """The handler. Raises Refused."""
    return _keyring_handler(Revocation, Keyring.revoke)


def listing_handler() -> Handler:
    """The handler. Raises Refused."""
    warm(connect)

    def handler(event: Mapping[str, Any], _: Any) -> dict[str, Any]:
        return mended(lambda: _list(asked(Holder, event)))

    return handler


def _list(request: Holder) -> dict[str, Any]:
    with scope(request.tenant_id, credentials=True):
        work = Work(table(), Caller(request.tenant_id, request.principal_id, "service"))
        return {"credentials": Keyring(work).of(request.principal_id)}


def _keyring_handler(model: type[Request], change: Callable[[Keyring, Request], dict[str, Any]]) -> Handler:
    warm(connect)

    def handler(event: Mapping[str, Any], _: Any) -> dict[str, Any]:
        return mended(lambda: _changed(asked(model, event), change))

    return handler


def _changed(request: Request, change: Callable[[Keyring, Request], dict[str, Any]]) -> dict[str, Any]:
    with scope(request.tenant_id, credentials=True):
        token = getattr(request, "request_token", None)
        work = _work(request.tenant_id, type(request).__name__, token, request)
        keyring = Keyring(work)
        answer = work.settle(lambda: Answer(200, documents.render(change(keyring, request)), confirms=True))
    result: dict[str, Any] = documents.parse(answer.body)
    if not answer.replayed:
        _show(keyring, result)
    return result


def _show(keyring: Keyring, credential: dict[str, Any]) -> None:
    """Adds the secret that was made for a credential. It is shown here, once, and kept nowhere."""
    if secret := keyring.secrets.get(credential["credential_id"]):
        credential["secret"] = secret


def _work(tenant: str, operation: str, token: str | None, request: BaseModel) -> Work:
    """The unit of work of an operator's request; with a token it is done once, however often it comes."""
    fingerprint = sha256(documents.canonical(request.model_dump(mode="json")).encode()).hexdigest()
    key = IdempotencyKey((operation, token), fingerprint, loc=("event", "request_token"), kept=True) if token else None
    return Work(table(), Caller(tenant, "provision", "service"), key)


def mended(act: Callable[[], T]) -> T:
    """What the act returns. Raises Refused where it is refused, with what to mend."""
    try:
        return act()
    except Invalid as refusal:
        found = "; ".join(f"{'.'.join(map(str, item.loc))}: {item.msg}" for item in refusal.details)
        raise Refused(found) from None
    except Refusal as refusal:
        raise Refused(refusal.message) from None


def asked(model: type[M], event: Mapping[str, Any]) -> M:
    """The event as what may be asked for. Raises Invalid."""
    try:
        return model.model_validate(event)
    except ValidationError as error:
        raise invalid(error) from None


def invalid(error: ValidationError) -> Invalid:
    """What pydantic found, without what was sent."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return Invalid(*(Detail(item["loc"], item["msg"], item["type"]) for item in found))


def _provision(request: Provisioning) -> dict[str, Any]:
    tenant = tenant_of(request)
    with scope(tenant, credentials=True):
        work = _work(tenant, "provision", request.request_token, request)
        tenants = Tenants(work)
        answer = work.settle(lambda: Answer(200, documents.render(tenants.provision(request)), confirms=True))
    result: dict[str, Any] = documents.parse(answer.body)
    if not answer.replayed:
        for principal in result["principals"]:
            for credential in principal["credentials"]:
                _show(tenants.keyring, credential)
    return result
