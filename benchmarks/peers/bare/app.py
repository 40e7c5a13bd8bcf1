"""A handler that does nothing: what the runtime itself takes."""

import json
from typing import Any


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return {"statusCode": 201, "headers": {"Content-Type": "application/json"}, "body": json.dumps({"message": "Hi"})}
