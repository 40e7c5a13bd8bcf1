"""Signatures of webhooks, by the specification Standard Webhooks.

The secret of an endpoint is stored nowhere. It is derived, whenever it is needed, from a key that signs the names of
its tenant, its endpoint and its version. The key is KMS's, which keeps it to itself.
"""

import hashlib
import hmac
import time
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from typing import Any

from botocore.config import Config
from botocore.session import Session

from atrium import ids
from atrium.errors import Unavailable

# Seconds for which a process remembers a secret.
_REMEMBERED_FOR = 300

_ATTEMPTS = 2

# By key and text: the moment of the monotonic clock until which it is remembered, and the secret.
remembered: dict[tuple[str, str], tuple[float, bytes]] = {}


def secret(key: str, tenant: str, endpoint: str, version: int) -> bytes:
    """The secret of a version of an endpoint's, by the key with this ARN. The ids have their 24 digits.
    Raises Unavailable.
    """
    text = f"atrium/webhook/{ids.to_uuid(tenant)}/{ids.to_uuid(endpoint)}/{version}"
    now = time.monotonic()
    until, known = remembered.get((key, text), (now, b""))
    if now < until:
        return known
    made = _of_kms(key, text)
    # A copy, since threads share the dictionary.
    for each, (until, _) in remembered.copy().items():
        if until <= now:
            remembered.pop(each, None)
    remembered[key, text] = (now + _REMEMBERED_FOR, made)
    return made


def shown(secret: bytes) -> str:
    """The secret as its owner is shown it, and as libraries that verify take it."""
    return f"whsec_{b64encode(secret).decode()}"


def headers(event_id: str, moment: int, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """The headers of a request with this body, signed with each of the secrets; `moment` is in seconds since 1970."""
    signed = f"{event_id}.{moment}.".encode() + body
    macs = [hmac.digest(secret, signed, hashlib.sha256) for secret in secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(moment),
        "webhook-signature": " ".join(f"v1,{b64encode(mac).decode()}" for mac in macs),
        "content-type": "application/json",
    }


def _of_kms(key: str, text: str) -> bytes:
    failure: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            made: bytes = kms().generate_mac(KeyId=key, MacAlgorithm="HMAC_SHA_256", Message=text.encode())["Mac"]
        except Exception as error:
            # Beside its own errors, botocore raises Python's for an answer that is not KMS's, such as a proxy's page.
            failure = error
        else:
            return made
    raise Unavailable from failure


@cache
def kms() -> Any:
    """This process's client. boto3's would import what only S3 needs."""
    config = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1})
    return Session().create_client("kms", config=config)
