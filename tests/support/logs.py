"""Lines of the functions' log; lines with metrics have the embedded metric format."""

import time
from collections.abc import Callable
from typing import Any

import jsonschema

from atrium.telemetry import UNITS
from tests.support.client import Answer, World, flat_id
from tests.support.clock import NET

Line = dict[str, Any]
Said = Callable[[], list[Line]]

# The specified embedded metric format, with Atrium's namespace and units.
EMF = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "additionalProperties": False,
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "properties": {
                            "Namespace": {"const": "Atrium"},
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "array", "minItems": 1, "maxItems": 30, "items": {"type": "string"}},
                            },
                            "Metrics": {
                                "type": "array",
                                "minItems": 1,
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "additionalProperties": False,
                                    "required": ["Name", "Unit"],
                                    "properties": {
                                        "Name": {"type": "string", "minLength": 1, "maxLength": 1024},
                                        "Unit": {"enum": ["Count", "Milliseconds", "Seconds"]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


def require_emf(line: Line) -> None:
    jsonschema.validate(line, EMF)
    assert abs(line["_aws"]["Timestamp"] / 1000 - time.time()) < NET
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for name in (name for names in directive["Dimensions"] for name in names):
            assert isinstance(line[name], str)
        for metric in directive["Metrics"]:
            assert metric["Unit"] == UNITS[metric["Name"]]
            value = line[metric["Name"]]
            values = value if isinstance(value, list) else [value]
            assert 1 <= len(values) <= 100
            assert all(type(each) in (int, float) and each >= 0 for each in values)


def measured(line: Line) -> tuple[set[str], set[str]]:
    """The dimensions and the metrics in a line's directive for CloudWatch."""
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    (dimensions,) = directive["Dimensions"]
    return set(dimensions), {metric["Name"] for metric in directive["Metrics"]}


def answered(world: World, answer: Answer, route: str, by: str = "owner", **other: Any) -> Line:
    """The expected line of an answer, without the fields that vary: see `fixed`."""
    return {
        "message": "Answered",
        "level": "INFO",
        "request_id": answer.headers["x-request-id"],
        "tenant": flat_id(world.dev["tenants"]["acme"]["tenant_id"]),
        "principal": world.id(by),
        "route": route,
        "status": answer.status,
        "replayed": False,
        "Stack": "atrium",
        "Dialect": "v1" if "/v1/" in route else "flat",
        "Requests": 1,
        **other,
    }


def fixed(line: Line) -> Line:
    """A request's line without latency, the directive for CloudWatch, and the mark of a process's first request."""
    assert 0 <= line["Latency"] < 60_000
    return {name: value for name, value in line.items() if name not in ("Latency", "_aws", "cold")}
