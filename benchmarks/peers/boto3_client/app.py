"""A bare handler with a stock boto3 client, made in init, and the calls that creating a project takes. It checks
nothing that the table does not check."""

import json
from typing import Any

import projects


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    new = json.loads(event["body"])
    caller = event["requestContext"]["authorizer"]
    made = projects.create(caller, event["pathParameters"]["space_id"], new["name"], new.get("description"))
    return {"statusCode": 201, "headers": {"Content-Type": "application/json"}, "body": json.dumps(made)}
