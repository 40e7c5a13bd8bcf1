"""Everything of the template that runs without a request: what the stream, the event bus, the queues and the clock
set off.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError
from moto.events.models import EventPattern

from local.bus import Event, instant
from local.database import Database
from local.directory import append
from local.event_sources import MessageQueue, QueueSource, StreamSource, failure
from local.functions import Invoker
from local.letters import Letters
from local.stream import StreamReader
from local.template import ACCOUNT, REGION, TABLE_NAME, EventSource, Function, Rule, Template
from local.terminal import say

# Seconds between two looks at the stream: what one waits for an event, against what an idle instance costs.
POLL = 0.25

# Seconds before an event is tried again that nobody waits for. Lambda waits one minute, then two.
_RETRY_AFTER = 1.0

_UNITS = {"minute": 60, "hour": 3600, "day": 86400}


class Log:
    """What happened, for a person and for programs: lines in the terminal, and two files of JSON lines in the data
    directory.
    """

    def __init__(self, directory: Path) -> None:
        self._events = directory / "events.jsonl"
        self.letters = Letters(directory / "dead-letters.jsonl")

    def event(self, event: Event) -> None:
        """An event that was put on a bus. The file has the details of Atrium's own."""
        kind, source, detail = (event.envelope[name] for name in ("detail-type", "source", "detail"))
        if source == "atrium":
            append(self._events, event.detail)
            say(f"event {kind} {detail.get('project_id')} {detail.get('sequence')}")
        else:
            say(f"event {kind} of {source}")

    def dead_letter(self, queue: str, letter: Mapping[str, Any]) -> None:
        """What could not be processed, left in the queue of an ARN."""
        say(f"dead letter {self.letters.add(queue.rpartition(':')[2], letter)}")


class Automation:
    """The template's rules, queues, event sources and schedules.

    A function that fails on an event has been shown in the terminal already; here its event is tried again, or becomes
    a dead letter.
    """

    def __init__(self, template: Template, invoke: Invoker, log: Log) -> None:
        self._template = template
        self._invoke = invoke
        self._log = log
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._asynchronous = ThreadPoolExecutor(8, thread_name_prefix="asynchronous")
        self._queues = {arn: MessageQueue(settings) for arn, settings in template.queues.items()}
        self._patterns = [
            (rule, EventPattern.load(rule.pattern)) for rule in template.rules if rule.pattern is not None
        ]

    # ------------------------------------------------------------ the bus

    def take(self, event: Event) -> None:
        """An event that was put on a bus goes to the targets of each rule that it matches."""
        self._log.event(event)
        for rule, pattern in self._patterns:
            if rule.bus == event.bus and pattern.matches_event(event.envelope):
                self._send(rule, event)

    def _send(self, rule: Rule, event: Event) -> None:
        for target in rule.targets:
            function = self._template.function(target)
            if function is not None:
                self._asynchronous.submit(self._invoke_asynchronously, function, event.envelope)
            elif target in self._queues:
                self._queues[target].send(event.text)
            else:
                raise ValueError(f"{target} is not known to the laptop edition")

    def _invoke_asynchronously(self, function: Function, event: dict[str, Any]) -> None:
        """As Lambda does when nobody waits for the result."""
        config = self._template.async_config(function)
        attempts = 1 + config.retries
        for attempt in range(1, attempts + 1):
            try:
                self._invoke(function, event)
                return
            except Exception:
                if self._stopping.wait(_RETRY_AFTER * attempt if attempt < attempts else 0):
                    return
        if config.on_failure:
            letter = {**failure(function.name, "RetriesExhausted", attempts), "requestPayload": event}
            self._log.dead_letter(config.on_failure, letter)

    # ------------------------------------------------------------ what runs by itself

    def start(self, engine: Database, directory: Path) -> None:
        """Begins to read the stream and the queues, and to watch the clock. The directory keeps the positions."""
        client = engine.streams()
        positions = directory / "stream"
        positions.mkdir(exist_ok=True)
        stream = engine.client().describe_table(TableName=TABLE_NAME)["Table"]["LatestStreamArn"]
        for source in self._template.event_sources:
            if source.source in self._queues:
                self._start(source.name, self._read_queue, source)
            elif source.source == self._template.stream:
                # Under the engine's own name, so that what a dead letter says of its place can be read.
                source = replace(source, source=stream)
                reader = StreamReader(client, stream, source, positions / f"{source.name}.json", engine.settle)
                self._start(source.name, self._read_stream, source, reader)
            else:
                raise ValueError(f"{source.source} is not known to the laptop edition")
        for rule in self._template.rules:
            if rule.schedule is not None:
                self._start(rule.name, self._keep_time, rule, period(rule.schedule))

    def stop(self) -> None:
        """Ends all of it, waiting a moment for what is being processed. What is not done by then is delivered again by
        the next instance, if the stream has it."""
        self._stopping.set()
        self._asynchronous.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + 2
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))

    def _start(self, name: str, run: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=run, args=args, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _read_stream(self, settings: EventSource, reader: StreamReader) -> None:
        source = StreamSource(settings, self._unless_stopping, self._log.dead_letter, self._stopping.wait)
        while not self._stopping.wait(POLL):
            try:
                reader.poll(source.deliver)
            except _Stopping:
                return
            except (BotoCoreError, ClientError) as error:
                if not self._stopping.wait(1):
                    say(f"{settings.name} cannot read the stream: {error}")

    def _read_queue(self, settings: EventSource) -> None:
        queue = self._queues[settings.source]
        source = QueueSource(settings, queue, self._unless_stopping, self._log.dead_letter)
        while not self._stopping.is_set():
            try:
                source.deliver(within=POLL)
            except _Stopping:
                return

    def _keep_time(self, rule: Rule, seconds: int) -> None:
        """Due whenever the clock shows a multiple of the period, so that starting anew often puts nothing off."""
        while not self._stopping.wait(seconds - time.time() % seconds):
            self._send(rule, Event(rule.bus, scheduled_event(rule), "{}"))

    def _unless_stopping(self, function: Function, event: Mapping[str, Any]) -> Any:
        """As Invoker says. What fails while everything is being ended says nothing about the function."""
        try:
            return self._invoke(function, event)
        except Exception:
            if self._stopping.is_set():
                raise _Stopping from None
            raise


class _Stopping(BaseException):
    """The instance is ending; not an Exception, which would be a failure of the function."""


def scheduled_event(rule: Rule) -> dict[str, Any]:
    """What EventBridge sends on a schedule."""
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": instant(time.time()),
        "region": REGION,
        "resources": [rule.arn],
        "detail": {},
    }


def period(schedule: str) -> int:
    """The seconds of `rate(15 minutes)`. Raises ValueError for a schedule of another form."""
    amount, _, unit = schedule.removeprefix("rate(").removesuffix(")").partition(" ")
    if not schedule.startswith("rate(") or unit.removesuffix("s") not in _UNITS:
        raise ValueError(f"{schedule} is not known to the laptop edition")
    return int(amount) * _UNITS[unit.removesuffix("s")]
