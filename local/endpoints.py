"""The addresses of an instance's services, for programs beside it."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from local.automation import Automation, Log
from local.bus import Bus, served
from local.database import database, new_access_key_id
from local.directory import owned, require_layout, webhook_key
from local.functions import call
from local.queues import Queues
from local.template import Template, create_table


@contextmanager
def endpoints_of(directory: Path, template: Template) -> Iterator[dict[str, str]]:
    """The endpoints `dynamodb` and `eventbridge` (also for SQS, Lambda and KMS) of the instance that runs on a data
    directory, and the `access_key_id` that they accept.

    Without such an instance, starts an engine on the data, which has the table then, and runs the functions in this
    process, also those that a rule of the bus invokes. No function reads the queues: their messages are for the next
    instance.
    """
    with ExitStack() as stack:
        if stack.enter_context(owned(directory)):
            require_layout(directory)
            key = new_access_key_id()
            engine = stack.enter_context(database(directory / "dynamodb", key))
            engine.wait_until_ready()
            create_table(engine.client(), template.table)
            # The writes of a command are on disk before its engine ends.
            stack.callback(engine.flush)
            log = Log(directory)
            queues = Queues(template.queues, log.letters, directory / "queues")
            automation = Automation(template, call, log, queues)
            bus = Bus(automation.take)
            key_file = webhook_key(directory)
            stack.enter_context(
                served(bus, key, queues, lambda name, event: call(template.functions[name], event), key_file)
            )
            stack.callback(automation.finish)
            yield {"dynamodb": engine.endpoint, "eventbridge": bus.url, "access_key_id": key}
            return
        published = directory / "endpoints.json"
        if not published.exists():
            sys.exit(f"The instance of {directory} is starting or ending. Try again in a moment.")
        yield json.loads(published.read_text())
