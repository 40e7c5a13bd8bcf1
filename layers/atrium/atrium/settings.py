"""The environment, parsed once, and the limits of a request."""

import os
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Settings:
    """The function's environment.

    `stack_name` separates the metrics of stacks. `dead_letters` is the URL of the queue of dead letters.
    `event_days` is for how many days the ledger keeps an event, 0 for ever.
    `webhook_events` and `webhook_deliveries` are the URLs of the queues of events for webhooks and of their deliveries.
    `webhook_key` is the ARN of the key that new webhooks derive their secrets from; `loopback` says whether a webhook
    may be a server on the same machine, which is so on a laptop alone.
    `viewer_principal` is the UUID of the principal that AddViewer adds, or empty.

    `jwt_issuer` is empty if no access tokens are accepted. `jwt_jwks` is the issuer's JWKS document, or its URL, or
    empty if the issuer's discovery document has the URL. `jwt_scope` is the scope that a token must have, or empty.
    """

    table_name: str
    stack_name: str
    cors_origin: str
    bus_name: str
    dead_letters: str
    event_days: int
    webhook_events: str
    webhook_deliveries: str
    webhook_key: str
    loopback: bool
    viewer_principal: str
    jwt_issuer: str
    jwt_audience: str
    jwt_jwks: str
    jwt_scope: str


@cache
def settings() -> Settings:
    """The function's environment as template.yaml sets it. Raises KeyError, which stops a misconfigured cold start."""
    return Settings(
        table_name=os.environ["TABLE_NAME"],
        stack_name=os.environ["STACK_NAME"],
        cors_origin=os.environ["CORS_ORIGIN"],
        bus_name=os.environ["BUS_NAME"],
        dead_letters=os.environ["DEAD_LETTERS"],
        event_days=int(os.environ["EVENT_DAYS"]),
        webhook_events=os.environ["WEBHOOK_EVENTS"],
        webhook_deliveries=os.environ["WEBHOOK_DELIVERIES"],
        webhook_key=os.environ["WEBHOOK_KEY"],
        loopback=os.environ.get("WEBHOOK_LOOPBACK") == "allowed",
        viewer_principal=os.environ["VIEWER_PRINCIPAL"],
        jwt_issuer=os.environ["JWT_ISSUER"],
        jwt_audience=os.environ["JWT_AUDIENCE"],
        jwt_jwks=os.environ["JWT_JWKS"],
        jwt_scope=os.environ["JWT_SCOPE"],
    )


# No call to the table starts later than this many seconds after the request began, and a call takes at most 2.5 s (1 s
# to connect, 1.5 s to read). So a function ends within 8.5 s, whatever the table does; and an authorizer that notes the
# use of a credential after its read (1.5 s) leaves the function time to answer within 10 s.
LAST_CALL_AFTER = 6.0

# Days for which a stored answer is replayed. The code decides; the table's TTL deletes the row later.
IDEMPOTENCY_DAYS = 30

# Limits of a document that is sent: bytes as sent, and levels of nesting (DynamoDB's own limit).
MAX_BODY_BYTES = 256 * 1024
MAX_DEPTH = 32

# The most bytes that Lambda takes from a function, as JSON: the whole answer.
MAX_RETURNED_BYTES = 6 * 1024 * 1024 + 100
