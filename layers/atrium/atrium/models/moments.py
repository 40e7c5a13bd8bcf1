"""Moments as text."""

from datetime import UTC, datetime

from atrium.ids import milliseconds_of


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_of(id: str) -> str:
    """The moment of an id, as a timestamp."""
    seconds, milliseconds = divmod(milliseconds_of(id), 1000)
    return timestamp(datetime.fromtimestamp(seconds, UTC).replace(microsecond=milliseconds * 1000))
