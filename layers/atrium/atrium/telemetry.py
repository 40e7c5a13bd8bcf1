"""What the functions say of themselves: JSON, a line for each thing, with CloudWatch's metrics in the same lines.

A line with `_aws` is in the embedded metric format: CloudWatch takes the metrics out of it, and the rest of its members
are for whoever reads the log. What a caller sent is in no line: neither credentials nor bodies, keys or cursors, and of
the path the route alone.
"""

import json
import sys
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from atrium.models import timestamp
from atrium.settings import settings
from atrium.store.engine.wall import Spent

NAMESPACE = "Atrium"

# Every metric, with its unit. Of a request: by stack and dialect. Of everything else: by stack.
UNITS = {
    "Requests": "Count",
    "Latency": "Milliseconds",
    "Replays": "Count",
    "Conflicts": "Count",
    "Retries": "Count",
    "LostRaces": "Count",
    "AuthorizerFailures": "Count",
    "EventLag": "Milliseconds",
    "PurgedRows": "Count",
    "PurgedDeletions": "Count",
    "SweptDeletions": "Count",
    "OverdueDeletions": "Count",
}

# What one line may have of one metric.
MAX_VALUES = 100

# json.dumps would make an encoder for each line.
_encode = json.JSONEncoder(separators=(",", ":")).encode


def answered(event: Mapping[str, Any], status: int, replayed: bool, began: float, spent: Spent, cold: bool) -> None:
    """The line of a request that was answered after it `began` (a time of perf_counter), whatever it was answered."""
    context, route = event["requestContext"], event["resource"]
    caller = context.get("authorizer") or {}
    latency = round((time.perf_counter() - began) * 1000, 1)
    metrics: dict[str, float] = {"Requests": 1, "Latency": latency}
    if replayed:
        metrics["Replays"] = 1
    if status in (409, 412):
        metrics["Conflicts"] = 1
    if spent.retries:
        metrics["Retries"] = spent.retries
    if spent.lost_races:
        metrics["LostRaces"] = spent.lost_races
    members: dict[str, Any] = {
        "request_id": context["requestId"],
        "tenant": caller.get("tenant_id"),
        "principal": caller.get("principal_id"),
        "route": f"{event['httpMethod']} {route}",
        "status": status,
        "replayed": replayed,
    }
    if cold:
        members["cold"] = True
    level, dialect = "ERROR" if status >= 500 else "INFO", "v1" if route.startswith("/v1/") else "flat"
    say("Answered", level, **members, **_measured(metrics, Dialect=dialect))


def counted(message: str, metrics: Mapping[str, float | list[float]], level: str = "INFO", **members: Any) -> None:
    """A line with metrics of a thing that is no request."""
    say(message, level, **members, **_measured(metrics))


def say(message: str, level: str = "INFO", **members: Any) -> None:
    """A line; `level` is one of those that Lambda filters by, and believes if the line has a time."""
    about = {"message": message, "level": level, "timestamp": timestamp(datetime.now(UTC))}
    # One write: Lambda's stdout passes on each of them by itself.
    sys.stdout.write(_encode({**about, **members}) + "\n")


def what_failed(error: BaseException) -> dict[str, Any]:
    """Members of a line about an exception: its kind, where it was raised, and what AWS said if it was AWS. Its own
    text is left out, since that may quote what a caller sent.
    """
    chain: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in chain:
        chain.append(found)
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    members: dict[str, Any] = {
        "error": [type(each).__name__ for each in chain],
        "where": [
            f"{frame.filename}:{frame.lineno} {frame.name}"
            for each in chain
            for frame in traceback.extract_tb(each.__traceback__)
        ],
    }
    answers = [each.response for each in chain if hasattr(each, "response")]
    return members | ({"aws_error": [answer["Error"]["Code"] for answer in answers]} if answers else {})


def _measured(metrics: Mapping[str, float | list[float]], **dimensions: str) -> dict[str, Any]:
    """Metrics as members of a line, and what tells CloudWatch of them."""
    dimensions = {"Stack": settings().stack_name, **dimensions}
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": UNITS[name]} for name in metrics],
    }
    about = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    return {**dimensions, **metrics, "_aws": about}
