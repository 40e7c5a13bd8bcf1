"""The command that exports days of a tenant's events to a bucket."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from atrium.automation.invocation import Handler, parsed, refusals_told
from atrium.cold_start import warm
from atrium.ids import is_id
from atrium.store.engine.table import table
from atrium.store.export import Export, Place, first_whole_day
from atrium.store.purge import deadline
from atrium.text import Uuid

# Seconds of the function's time that are kept for a part under way.
_SPARE_SECONDS = 120.0


class ExportRequest(BaseModel):
    """The days of a tenant from `since` on and before `until`, in UTC; without it up to now. `after` continues a run
    that ran out of time, with the `after` of its result."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tenant_id: Uuid
    since: date = Field(strict=False)
    until: date | None = Field(default=None, strict=False)
    after: tuple[str, int] | None = Field(default=None, strict=False)

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if self.until is not None and self.until <= self.since:
            raise ValueError("until: Must be after since")
        if self.after is not None and not (is_id(self.after[0]) and self.after[1] >= 0):
            raise ValueError("after: Must be that of an earlier result")
        # The parts of a day of which events are missing would take the places of those that have them.
        kept = first_whole_day()
        if kept is not None and self.since < kept:
            raise ValueError(f"since: Must be {kept} or later, since older days are no longer kept whole")
        return self


def exporting_handler() -> Handler:
    """The handler. Its result counts the `events` that were exported and names the `keys` of their objects; it is
    `complete` if the run reached the end, else the next run goes on with its `after`. Raises Refused, Unavailable and
    NotStored."""
    warm(table)

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        with refusals_told():
            request = parsed(ExportRequest, event)
        until = deadline(context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS)
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)
        export = Export(table(), request.tenant_id, request.since, request.until or tomorrow)
        after = export.run(Place(*request.after) if request.after else None, until)
        return {
            "complete": after is None,
            "after": None if after is None else list(after),
            "events": export.events,
            "keys": export.keys,
        }

    return handler
