"""The command that checks the table: its request, and the time it may take."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from atrium.automation.invocation import Handler, parsed, refusals_told
from atrium.cold_start import warm
from atrium.keys import Key
from atrium.store.engine.table import connect, table
from atrium.store.fsck.check import Check
from atrium.store.fsck.sequences import Sequences
from atrium.store.purge import deadline
from atrium.text import Uuid

# Seconds of the function's time that are kept for a batch under way and for the summary.
_SPARE_SECONDS = 30.0


class CheckRequest(BaseModel):
    """A check of the table, which repairs only if `repair` is true; or, with `ledger`, of the numbers in whole ledgers.

    `restored_to` is the moment to which the table was restored, with its offset from UTC. `after` continues a check
    that ran out of time, with the `after` of its summary. `tenant_id` limits the check to one tenant. Of several checks
    at once, each gets its own `segment`, from 0 on, of so many `segments`.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    repair: bool = False
    ledger: bool = False
    restored_to: AwareDatetime | None = Field(default=None, strict=False)
    after: tuple[str, str] | None = Field(default=None, strict=False)
    tenant_id: Uuid | None = None
    segment: int = Field(default=0, ge=0)
    segments: int = Field(default=1, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _is_there(self) -> Self:
        if self.segment >= self.segments:
            raise ValueError("segment: Must be less than segments")
        return self


def checking_handler() -> Handler:
    """The handler. Its result is the summary of atrium.store.fsck. Raises Refused and Unavailable."""
    warm(connect)

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        with refusals_told():
            request = parsed(CheckRequest, event)
        until = deadline(context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS)
        kind = Sequences if request.ledger else Check
        check = kind(
            table(),
            repair=request.repair,
            until=until,
            restored_to=request.restored_to,
            after=Key(*request.after) if request.after else None,
            segment=(request.segment, request.segments) if request.segments > 1 else None,
            tenant=request.tenant_id,
        )
        return check.run()

    return handler
