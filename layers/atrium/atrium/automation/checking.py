"""The check of the table, without a URL: what it may be asked, and how long it may take."""

from collections.abc import Callable, Mapping
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from atrium.api.v1 import Id
from atrium.automation.commands import asked, mended
from atrium.cold_start import warm
from atrium.keys import Key
from atrium.store.engine.table import connect, table
from atrium.store.fsck import Check
from atrium.store.purge import deadline

# What is kept of the function's time: for what has been begun, and for saying what was found.
_SPARE_SECONDS = 30.0


class CheckRequest(BaseModel):
    """A check of the table. It repairs nothing unless that is asked for. `restored_to` is the moment of a table that
    was restored, with its offset from UTC; `after` is what the answer of a check says that ran out of time. One of
    several that run at once is told which `segment` of how many is its own, from 0 on."""

    model_config = ConfigDict(extra="forbid", strict=True)

    repair: bool = False
    restored_to: AwareDatetime | None = Field(default=None, strict=False)
    after: tuple[str, str] | None = Field(default=None, strict=False)
    tenant_id: Id | None = None
    segment: int = Field(default=0, ge=0)
    segments: int = Field(default=1, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _is_there(self) -> Self:
        if self.segment >= self.segments:
            raise ValueError("segment: Must be less than segments")
        return self


def checking_handler() -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """The handler. Its result is the summary of atrium.store.fsck. Raises Refused."""
    warm(connect)

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        request = mended(lambda: asked(CheckRequest, event))
        until = deadline(context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS)
        check = Check(
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
