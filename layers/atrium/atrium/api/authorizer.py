"""The Lambda authorizer of every route: it finds the caller of a credential."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from atrium import keys
from atrium.access_tokens import access_tokens
from atrium.api.headers import OWS, values_of
from atrium.api.identity import context_of
from atrium.cold_start import warm
from atrium.credentials import digest, identity_digest, is_well_formed
from atrium.store.credentials import Credentials
from atrium.store.engine.table import connect, table
from atrium.telemetry import counted, say, what_failed


@cache
def credentials() -> Credentials:
    return Credentials(table())


def lambda_authorizer() -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """The handler. Raises Exception("Unauthorized"), which API Gateway answers with 401; any other exception it answers
    with 500. A Deny becomes its ACCESS_DENIED, whose answer says that two different credentials were sent.
    """
    warm(partial(connect, "GetItem", keys.credential("0" * 64)))

    def handler(event: Mapping[str, Any], _: Any) -> dict[str, Any]:
        # For the log alone, so a missing member is no error.
        context = {
            "request_id": event.get("requestContext", {}).get("requestId"),
            "route": f"{event.get('httpMethod')} {event.get('resource')}",
        }
        try:
            bearers, sent = _sent(event)
            several = len(sent) > 1
            presented = _digest(sent.pop(), bearers) if sent and not several else None
            caller = credentials().caller(presented) if presented else None
        except Exception as error:
            # Lambda's own metric of errors counts every 401 too.
            counted("Not judged", {"AuthorizerFailures": 1}, "ERROR", **context, **what_failed(error))
            raise
        if several:
            say("Unauthorized", **context, reason="several")
            return _policy(event, "Deny", "unknown")
        if caller is None:
            say("Unauthorized", **context, reason="unknown" if presented else "malformed")
            raise Exception("Unauthorized")
        return {**_policy(event, "Allow", caller.principal), "context": context_of(caller)}

    return handler


def _policy(event: Mapping[str, Any], effect: str, principal: str) -> dict[str, Any]:
    # The whole stage: API Gateway caches the policy, and a later request may be for another route.
    api, stage = event["methodArn"].split("/")[:2]
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": f"{api}/{stage}/*/*"}
    return {"principalId": principal, "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}


def _sent(event: Mapping[str, Any]) -> tuple[set[str | None], set[str | None]]:
    """The bearer tokens of the request; and all its distinct credentials, bearer tokens and API keys. None stands for
    an Authorization of another scheme."""
    bearers: set[str | None] = set()
    for value in values_of(event, "Authorization"):
        scheme, _, secret = value.strip(OWS).partition(" ")
        bearers.add(secret.strip(OWS) if scheme.lower() == "bearer" else None)
    return bearers, bearers | {value.strip(OWS) for value in values_of(event, "X-API-Key")}


def _digest(secret: str | None, bearers: set[str | None]) -> str | None:
    """The digest under which a credential is stored; None for one that cannot exist. Raises Unavailable."""
    if secret is None:
        return None
    if is_well_formed(secret):
        return digest(secret)
    tokens = access_tokens() if secret in bearers else None
    identity = tokens.identity(secret) if tokens else None
    return identity_digest(*identity) if identity else None
