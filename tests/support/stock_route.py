"""A route that creates a project, written with Powertools' idempotency as its documentation shows it. For
comparison.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyAlreadyInProgressError
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from atrium.store.engine.client import is_failure
from local.functions import Context
from tests.support.faults import FaultyClient

RECORDS, PROJECTS = "idempotency", "projects"

# Seconds that the function has left, after which its lease on a key ends.
LEASE = 600

# What the SDK calls again by itself, besides failures of the service, and how often it calls.
_RETRIED = {"ProvisionedThroughputExceededException"}
_ATTEMPTS = 3


class Sdk:
    """A client with the SDK's retries in front of its faults."""

    def __init__(self, client: FaultyClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return _retried(found) if name.endswith("_item") else found


def _retried(call: Callable[..., Any]) -> Callable[..., Any]:
    def attempts(**params: Any) -> Any:
        for last in (False,) * (_ATTEMPTS - 1) + (True,):
            try:
                return call(**params)
            except ClientError as error:
                if last or (not is_failure(error) and error.response["Error"]["Code"] not in _RETRIED):
                    raise
            except (ConnectionClosedError, ReadTimeoutError):
                if last:
                    raise
        raise AssertionError

    return attempts


class StockRoute:
    """Called with a name and an Idempotency-Key; answers a status and a body."""

    def __init__(self, client: FaultyClient) -> None:
        sdk = Sdk(client)
        store = DynamoDBPersistenceLayer(table_name=RECORDS, boto3_client=sdk)
        config = IdempotencyConfig(event_key_jmespath='headers."Idempotency-Key"', raise_on_no_idempotency_key=True)

        @idempotent(config=config, persistence_store=store)
        def handler(event: Mapping[str, Any], _: Any) -> dict[str, Any]:
            project = {"id": str(uuid4()), **json.loads(event["body"])}
            sdk.put_item(TableName=PROJECTS, Item={name: {"S": value} for name, value in project.items()})
            return {"statusCode": 201, "body": json.dumps(project)}

        self._handler = handler

    def __call__(self, name: str, key: str) -> tuple[int, str]:
        event = {"headers": {"Idempotency-Key": key}, "body": json.dumps({"name": name})}
        try:
            answer = self._handler(event, Context("StockRoute", 128, str(uuid4()), time.time() + LEASE))
        except IdempotencyAlreadyInProgressError:
            return 409, ""
        except Exception:
            return 500, ""
        return answer["statusCode"], answer["body"]
