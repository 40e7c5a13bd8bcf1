"""The check of the table, without a URL: what it may be asked, and how long it may take."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from atrium.api.automation import asked, mended
from atrium.cold_start import warm
from atrium.store.fsck import Check
from atrium.store.purge import deadline
from atrium.store.table import connect, table

# What is kept of the function's time: for what has been begun, and for saying what was found.
_SPARE_SECONDS = 30.0


class CheckRequest(BaseModel):
    """A check of the table. It repairs nothing unless that is asked for. `restored_to` is the moment of a table that
    was restored, with its offset from UTC."""

    model_config = ConfigDict(extra="forbid", strict=True)

    repair: bool = False
    restored_to: AwareDatetime | None = Field(default=None, strict=False)


def checking_handler() -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """The handler. Its result is the summary of atrium.store.fsck. Raises Refused."""
    warm(connect)

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        request = mended(lambda: asked(CheckRequest, event))
        until = deadline(context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS)
        return Check(table(), repair=request.repair, until=until, restored_to=request.restored_to).run()

    return handler
