"""The caller of a request, as the authorizer tells it to the functions: in values that API Gateway hands on as text."""

from collections.abc import Mapping
from typing import Any

from atrium import documents
from atrium.models import Caller, Issuer, Narrowing


def context_of(caller: Caller) -> dict[str, str | None]:
    """The context of the authorizer's answer."""
    context = {
        "tenant_id": caller.tenant,
        "principal_id": caller.principal,
        "kind": caller.kind,
        "credential_id": caller.credential,
    }
    if caller.narrowed is not None:
        context["narrowed_to"] = documents.render(caller.narrowed.lists())
    if caller.issued_by is not None:
        context["issued_by"] = documents.render(caller.issued_by._asdict())
    return context


def caller_of(context: Mapping[str, Any]) -> Caller:
    """The caller of a function's event, by the context that the gateway hands on."""
    narrowed, issuer = context.get("narrowed_to"), context.get("issued_by")
    return Caller(
        context["tenant_id"],
        context["principal_id"],
        context["kind"],
        # The gateway keeps the word of an earlier release's authorizer for a while: it has no id of a credential.
        context.get("credential_id"),
        Narrowing.of(documents.parse(narrowed)) if narrowed else None,
        Issuer(**documents.parse(issuer)) if issuer else None,
    )
