"""Functions without a URL: an event in, a result out, under the same rules and the same exactly-once as HTTP."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from atrium import documents
from atrium.errors import Detail, Invalid, Refusal
from atrium.models import Caller
from atrium.provisioning import Provisioning
from atrium.store.table import scope, table, warm
from atrium.store.tenants import Tenants, tenant_of
from atrium.store.work import Answer, IdempotencyKey, Work

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class Refused(Exception):
    """What the invoker sees of a refusal: Lambda's errorType, and what to mend as its errorMessage."""


def provisioning_handler() -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """The handler. Its result names everything that was made; secrets only the first time. Raises Refused."""
    warm()

    def handler(event: Mapping[str, Any], _: Any) -> dict[str, Any]:
        return mended(lambda: _provision(asked(Provisioning, event)))

    return handler


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
    fingerprint = sha256(documents.canonical(request.model_dump(mode="json")).encode()).hexdigest()
    key = IdempotencyKey(("provision", request.request_token), fingerprint, loc=("event", "request_token"), kept=True)
    with scope(tenant, credentials=True):
        work = Work(table(), Caller(tenant, "provision", "service"), key)
        tenants = Tenants(work)
        answer = work.settle(lambda: Answer(200, documents.render(tenants.provision(request)), confirms=True))
    result: dict[str, Any] = documents.parse(answer.body)
    if not answer.replayed:
        for principal in result["principals"]:
            for credential in principal["credentials"]:
                if secret := tenants.secrets.get(credential["credential_id"]):
                    credential["secret"] = secret
    return result
