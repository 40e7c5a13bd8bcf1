"""Where the services of an instance are, for programs beside it."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from local.automation import Log
from local.bus import Bus, served
from local.database import database, new_access_key_id
from local.directory import owned


@contextmanager
def endpoints_of(directory: Path) -> Iterator[dict[str, str]]:
    """The endpoints `dynamodb` and `eventbridge` of the instance that owns a data directory, and the `access_key_id`
    that they take; while there is none, of an engine on its data and a bus that notes its events down, for as long as
    it lasts.
    """
    with ExitStack() as stack:
        if stack.enter_context(owned(directory)):
            key = new_access_key_id()
            engine = stack.enter_context(database(directory / "dynamodb", key))
            engine.wait_until_ready()
            bus = stack.enter_context(served(Bus(Log(directory).event), key))
            yield {"dynamodb": engine.endpoint, "eventbridge": bus.url, "access_key_id": key}
            return
        published = directory / "endpoints.json"
        if not published.exists():
            sys.exit(f"The instance of {directory} is starting or ending. Try again in a moment.")
        yield json.loads(published.read_text())
