"""The fields of records of each kind, as both dialects take them: v1 under these names, flat in camelCase."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

from atrium.api.views import Model
from atrium.documents import Number
from atrium.models import Phase, Priority, TaskStatus, timestamp
from atrium.text import Name, OptionalText, Text

# ---------------------------------------------------------------- values

# More than a century: a typing error.
_MAX_HOURS = 1_000_000
# The largest integer that JavaScript holds exactly.
_MAX_COUNT = 2**53 - 1


def _moment(text: str) -> str:
    try:
        if not text.isascii() or len(text) > 40:
            raise ValueError
        # RFC 3339 has `t` and `z` in either case.
        moment = datetime.fromisoformat(text.upper())
        return timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        message = "Must be a date or a time in ISO 8601, such as 2026-03-31 or 2026-03-31T17:00:00Z"
        raise PydanticCustomError("datetime_parsing", message) from None


def _day_or_moment(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat() if text.isascii() else _moment(text)
    except ValueError:
        return _moment(text)


def _hours(value: Any) -> str:
    """The number as JSON text, so that 2.50 stays 2.50."""
    if isinstance(value, bool) or not isinstance(value, int | Number) or not 0 <= value <= _MAX_HOURS:
        raise PydanticCustomError("hours", f"Must be a number from 0 to {_MAX_HOURS:,}")
    return value.text if isinstance(value, Number) else str(value)


def _whole(value: Any) -> Any:
    """The integer that a number such as 3.0 or 3e2 is equal to; any other value as it is."""
    # Not -0, which would lose its sign.
    is_count = isinstance(value, Number) and not value.is_signed() and value <= _MAX_COUNT
    return int(value) if is_count and value == value.to_integral_value() else value


# A moment of ISO 8601, kept in UTC. A day is its midnight; a time without an offset is taken as UTC.
Moment = Annotated[str, Strict(), AfterValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
# A day or a moment of ISO 8601. A day is kept as a day.
Deadline = Annotated[
    str,
    Strict(),
    AfterValidator(_day_or_moment),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}),
]
Hours = Annotated[Any, AfterValidator(_hours), WithJsonSchema({"type": "number", "minimum": 0, "maximum": _MAX_HOURS})]
# JSON Schema counts 3.0 as an integer, and some clients send every number with a fraction.
Count = Annotated[int, Strict(), Field(ge=0, le=_MAX_COUNT), BeforeValidator(_whole)]


# ---------------------------------------------------------------- fields


class TaskFields(Model):
    """The fields of both a new task and a revised one, without `assigned_to`: each dialect has its own form of ids."""

    name: Name
    description: Text
    estimated_hours: Hours | None = None
    priority: Priority | None = None
    deadline: Deadline | None = None


class NewTaskFields(TaskFields):
    phase: Phase
    status: TaskStatus = "pending"


class DatasetFields(Model):
    name: Name
    source: Text
    description: Text
    acquisition_date: Moment
    phase: Phase
    records: Count = 0


class ExperimentFields(Model):
    name: Name
    algorithm_model: Text
    parameters: Text
    metric: Text
    result: Text
    conclusion: Text
    phase: Phase


class DecisionFields(Model):
    description: Text
    justification: Text
    phase: Phase
    alternatives: OptionalText = ""
