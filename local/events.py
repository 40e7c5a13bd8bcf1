"""`make events SINCE=2026-11-01 [UNTIL=…] [TENANT=<uuid>] > events.ndjson`: the events of a span of time in the data of
`make run`, while that is running or not. Without UNTIL up to now, without TENANT of all tenants, one after the other.

Stdout gets a line of JSON for each event, those of a tenant in the order of its ledger: as docs/events.md describes
them, and as the bus and the list of events show them. Progress goes to stderr. The exit status is 2 when the command
failed.
"""

import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from atrium import documents, keys
from atrium.errors import Unavailable
from atrium.ids import from_uuid, is_id, to_uuid
from atrium.models import moment_of
from atrium.store.engine.table import table
from atrium.store.history import first_of, rows, settled, tenants
from atrium.store.rows import to_event
from local.directory import data_directory
from local.endpoints import endpoints_of
from local.template import Template, lambda_environment

# Events between two lines of progress.
_TOLD_EVERY = 1_000

_USAGE = "Send SINCE=2026-11-01 or SINCE=2026-11-01T08:00:00Z, TENANT=<uuid>."


def main() -> int:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a reader may have enough
    try:
        since, until = _moment("SINCE"), _moment("UNTIL")
        tenant = from_uuid(os.environ["TENANT"]) if os.environ.get("TENANT") else None
    except ValueError as error:
        return _refused(f"{error}. {_USAGE}")
    if since is None or (tenant is not None and not is_id(tenant)):
        return _refused(_USAGE)
    directory = data_directory()
    if not (directory / "dynamodb").is_dir():
        return _refused(f"{directory} holds no data of `make run`. Set DATA_DIR.")
    template = Template()
    with endpoints_of(directory, template) as endpoints:
        os.environ.update(lambda_environment(template.functions["Fsck"], **endpoints))
        try:
            for each in [tenant] if tenant else _tenants():
                last = min(first_of(until), settled()) if until else settled()
                _write(each, first_of(since), last - 1)
        except Unavailable:
            return _refused("The database does not answer.")
    return 0


def _tenants() -> Iterator[str]:
    return (keys.tenant_of(place.pk) for place, is_tenant in tenants(table()) if is_tenant)


def _write(tenant: str, first: int, last: int) -> None:
    count, place = 0, ""
    for count, row in enumerate(rows(table(), tenant, first, last), 1):
        sys.stdout.buffer.write(documents.render(to_event(tenant, row).detail()).encode() + b"\n")
        place = f", up to {moment_of(row['sk'])}"
        if count % _TOLD_EVERY == 0:
            _tell(f"{to_uuid(tenant)}: {count:,} events{place} …")
    sys.stdout.buffer.flush()
    _tell(f"{to_uuid(tenant)}: {count:,} events{place}.")


def _moment(name: str) -> datetime | None:
    """A variable as a moment; without an offset it is in UTC. Raises ValueError."""
    text = os.environ.get(name)
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _refused(why: str) -> int:
    _tell(why)
    return 2


if __name__ == "__main__":
    sys.exit(main())
