"""The Lambda authorizer of every route: a credential in, the caller out."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from atrium.access_tokens import access_tokens
from atrium.api.headers import OWS, values_of
from atrium.api.telemetry import counted, say, what_failed
from atrium.cold_start import warm
from atrium.credentials import digest, identity_digest, is_well_formed
from atrium.store.credentials import Credentials
from atrium.store.table import connect, table


@cache
def credentials() -> Credentials:
    return Credentials(table())


def lambda_authorizer() -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """The handler. Raises Exception("Unauthorized"), which API Gateway answers with 401; any other exception is its
    500.
    """
    warm(partial(connect, "GetItem"))

    def handler(event: Mapping[str, Any], _: Any) -> dict[str, Any]:
        # For the log alone: nobody is refused for want of it.
        asked = {
            "request_id": event.get("requestContext", {}).get("requestId"),
            "route": f"{event.get('httpMethod')} {event.get('resource')}",
        }
        try:
            presented = _digest(event)
            caller = credentials().caller(presented) if presented else None
        except Exception as error:
            # The function's own count of errors has every 401 in it.
            counted("Not judged", {"AuthorizerFailures": 1}, "ERROR", **asked, **what_failed(error))
            raise
        if caller is None:
            say("Unauthorized", **asked, reason="unknown" if presented else "malformed")
            raise Exception("Unauthorized")
        # The whole stage, so that what is allowed does not depend on the route that asked first.
        api, stage = event["methodArn"].split("/")[:2]
        return {
            "principalId": caller.principal,
            "policyDocument": {
                "Version": "2012-10-17",
                "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{api}/{stage}/*/*"}],
            },
            "context": {"tenant_id": caller.tenant, "principal_id": caller.principal, "kind": caller.kind},
        }

    return handler


def _digest(event: Mapping[str, Any]) -> str | None:
    """What is kept of the one credential of the request; None if there is none, or more than one, or one that cannot be
    anybody's. Raises Unavailable."""
    bearers = values_of(event, "Authorization")
    api_keys = values_of(event, "X-API-Key")
    if len(bearers) + len(api_keys) != 1:
        return None
    scheme, _, secret = bearers[0].strip(OWS).partition(" ") if bearers else ("bearer", "", api_keys[0])
    secret = secret.strip(OWS)
    if scheme.lower() != "bearer":
        return None
    if is_well_formed(secret):
        return digest(secret)
    tokens = access_tokens() if bearers else None
    identity = tokens.identity(secret) if tokens else None
    return identity_digest(*identity) if identity else None
