"""The logs and metrics of the functions: lines of JSON.

A line with `_aws` is in CloudWatch's embedded metric format: CloudWatch takes the metrics out of it, and the other
members are for readers of the log. No line holds a caller's input: neither credentials nor bodies, keys or cursors, and
of the path the route alone.
"""

import json
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from atrium.models import timestamp
from atrium.settings import settings

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
    "LateEvents": "Count",
    "PurgedRows": "Count",
    "PurgedDeletions": "Count",
    "SweptDeletions": "Count",
    "OverdueDeletions": "Count",
    "Deliveries": "Count",
    "DeliveryFailures": "Count",
    "OldestDelivery": "Seconds",
    "WebhooksDisabled": "Count",
}

# The most values of one metric in one line.
MAX_VALUES = 100

# Made once; json.dumps would make an encoder for each line.
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass
class Spent:
    """Counters of a request beyond its first attempt: calls made again after a transient failure, and decisions made
    again after a lost race."""

    retries: int = 0
    lost_races: int = 0


def answered(event: Mapping[str, Any], status: int, replayed: bool, began: float, spent: Spent, cold: bool) -> None:
    """Writes the line of an answered request, which `began` at a time of perf_counter."""
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
    """Writes a line with metrics of anything but a request."""
    say(message, level, **members, **_measured(metrics))


def say(message: str, level: str = "INFO", **members: Any) -> None:
    """Writes a line. Lambda filters by `level`, which it takes from a line only if the line has a timestamp."""
    about = {"message": message, "level": level, "timestamp": timestamp(datetime.now(UTC))}
    # One write: Lambda passes each write on as a line of its own.
    sys.stdout.write(_encode({**about, **members}) + "\n")


def what_failed(error: BaseException) -> dict[str, Any]:
    """The members of a line about an exception: the types of it and its causes, where they were raised, and the error
    codes of AWS. The text of the exception is left out, since it may quote a caller's input.
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
    """Metrics as members of a line, with the directive that tells CloudWatch of them."""
    dimensions = {"Stack": settings().stack_name, **dimensions}
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": UNITS[name]} for name in metrics],
    }
    about = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    return {**dimensions, **metrics, "_aws": about}
