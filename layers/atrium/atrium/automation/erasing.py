"""The command that erases what the ledger holds of a project, or of one thing."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from atrium.automation.invocation import Handler, parsed, refusals_told
from atrium.cold_start import warm
from atrium.keys import Key, ledger_shards
from atrium.store.engine.table import table
from atrium.store.erase import Erasure
from atrium.store.purge import deadline
from atrium.telemetry import say
from atrium.text import Uuid

# Seconds of the function's time that are kept for a page under way.
_SPARE_SECONDS = 120.0


class EraseRequest(BaseModel):
    """A project, or one thing by its id: a record with its notes, a note, a credential, a space. `after` continues a
    run that ran out of time, with the `after` of its result."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tenant_id: Uuid
    project_id: Uuid | None = None
    resource_id: Uuid | None = None
    after: tuple[str, str] | None = Field(default=None, strict=False)

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.project_id is None) == (self.resource_id is None):
            raise ValueError("project_id, resource_id: Send one of them")
        if self.after is not None and self.after[0] not in ledger_shards(self.tenant_id):
            raise ValueError("after: Must be that of an earlier result for this tenant")
        return self


def erasing_handler() -> Handler:
    """The handler. Its result counts the `rows` that were read and those that were `erased`; it is `complete` if the
    run reached the end of the ledger, else the next run goes on with its `after`. Raises Refused and Unavailable."""
    warm(table)

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        with refusals_told():
            request = parsed(EraseRequest, event)
        until = deadline(context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS)
        erasure = Erasure(table(), request.tenant_id, request.project_id, request.resource_id)
        after = erasure.run(Key(*request.after) if request.after else None, until)
        say("Erased", tenant=request.tenant_id, complete=after is None, rows=erasure.rows, erased=erasure.erased)
        return {
            "complete": after is None,
            "after": None if after is None else list(after),
            "rows": erasure.rows,
            "erased": erasure.erased,
        }

    return handler
