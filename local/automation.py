"""Runs the functions without a URL, as the template connects them to the stream, the event bus, the queues and the
clock.
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
from local.event_sources import QueueSource, StreamSource, failure
from local.functions import Invoker
from local.letters import Letters
from local.queues import Queues
from local.stream import StreamReader
from local.template import ACCOUNT, REGION, TABLE_NAME, EventSource, Function, Rule, Template
from local.terminal import say

# Seconds between two reads of the stream: a shorter pause shows events sooner, a longer one costs less while idle.
POLL = 0.25

# Seconds before an asynchronous invocation is retried. Lambda waits one minute, then two.
_RETRY_AFTER = 1.0

# How many batches of a queue are processed at a time: of one without a limit of its own as many as Lambda begins with,
# of any other at most so many, each of which may need a process.
_UNLIMITED, _AT_ONCE = 5, 16

_UNITS = {"minute": 60, "hour": 3600, "day": 86400}


class Log:
    """Reports events and dead letters: to a person by lines in the terminal, to programs by two files of JSON lines in
    the data directory.
    """

    def __init__(self, directory: Path) -> None:
        self._events = directory / "events.jsonl"
        self.letters = Letters(directory / "dead-letters.jsonl")

    def event(self, event: Event) -> None:
        """Reports an event that was put on a bus. The file has the details of Atrium's own events only."""
        kind, source, detail = (event.envelope[name] for name in ("detail-type", "source", "detail"))
        if source == "atrium":
            append(self._events, event.detail)
            # The others are of the demo tenants, and would fill the screen at the first start.
            if "project_id" in detail:
                say(f"event {kind} {detail['project_id']} {detail.get('sequence')}")
        else:
            say(f"event {kind} of {source}")

    def dead_letter(self, queue: str, letter: Mapping[str, Any]) -> None:
        """Leaves a dead letter in the queue with this ARN, and reports it."""
        say(f"dead letter {self.letters.add(queue.rpartition(':')[2], letter)}")


class Automation:
    """The template's rules, queues, event sources and schedules.

    The terminal already shows the failures of functions. This class retries the event, or makes it a dead letter.
    """

    def __init__(self, template: Template, invoke: Invoker, log: Log, queues: Queues) -> None:
        self._template = template
        self._invoke = invoke
        self._log = log
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._asynchronous = ThreadPoolExecutor(8, thread_name_prefix="asynchronous")
        self._queues = queues.by_arn
        self._patterns = [
            (rule, EventPattern.load(rule.pattern)) for rule in template.rules if rule.pattern is not None
        ]

    # ------------------------------------------------------------ the bus

    def take(self, event: Event) -> None:
        """Gives an event that was put on a bus to the targets of each rule that it matches."""
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
        """Invokes a function as Lambda's invocation type Event does: with retries, and a dead letter at the end."""
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

    # ------------------------------------------------------------ stream, queues and schedules

    def start(self, engine: Database, directory: Path) -> None:
        """Starts reading the stream and the queues, and watching the clock. The directory keeps the positions."""
        client = engine.streams()
        positions = directory / "stream"
        positions.mkdir(exist_ok=True)
        stream = engine.client().describe_table(TableName=TABLE_NAME)["Table"]["LatestStreamArn"]
        for source in self._template.event_sources:
            if source.source in self._queues:
                self.read_queue(source)
            elif source.source == self._template.stream:
                # The engine's own ARN, so that a dead letter's place in the stream can be read.
                source = replace(source, source=stream)
                reader = StreamReader(client, stream, source, positions / f"{source.name}.json", engine.flush)
                self._start(source.name, self._read_stream, source, reader)
            else:
                raise ValueError(f"{source.source} is not known to the laptop edition")
        for rule in self._template.rules:
            if rule.schedule is not None:
                self._start(rule.name, self._keep_time, rule, period(rule.schedule))

    def finish(self) -> None:
        """Waits until the functions that rules have invoked are done. Takes no event any more."""
        self._asynchronous.shutdown()

    def stop(self) -> None:
        """Stops everything, after waiting a moment for the events in progress. The next instance delivers unfinished
        stream records again.
        """
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

    def read_queue(self, source: EventSource) -> None:
        """Starts reading a queue, in as many threads as batches of it are processed at a time."""
        for _ in range(at_once(source)):
            self._start(source.name, self._read_queue, source)

    def _read_queue(self, settings: EventSource) -> None:
        queue = self._queues[settings.source]
        source = QueueSource(settings, queue, self._unless_stopping, self._log.dead_letter)
        while not self._stopping.is_set():
            try:
                source.deliver(within=POLL)
            except _Stopping:
                return

    def _keep_time(self, rule: Rule, seconds: int) -> None:
        """Fires at multiples of the period by the clock, so that frequent restarts delay nothing."""
        while not self._stopping.wait(seconds - time.time() % seconds):
            self._send(rule, Event(rule.bus, scheduled_event(rule), "{}"))

    def _unless_stopping(self, function: Function, event: Mapping[str, Any]) -> Any:
        """Invokes as Invoker documents. A failure while the instance stops is not counted against the function."""
        try:
            return self._invoke(function, event)
        except Exception:
            if self._stopping.is_set():
                raise _Stopping from None
            raise


class _Stopping(BaseException):
    """The instance is stopping. Not an Exception, since that would count as a failure of the function."""


def scheduled_event(rule: Rule) -> dict[str, Any]:
    """The event that EventBridge sends on a schedule."""
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


def at_once(source: EventSource) -> int:
    """How many batches of a queue are processed at a time."""
    return min(source.concurrency or _UNLIMITED, _AT_ONCE)


def period(schedule: str) -> int:
    """The seconds of `rate(15 minutes)`. Raises ValueError for a schedule of another form."""
    amount, _, unit = schedule.removeprefix("rate(").removesuffix(")").partition(" ")
    if not schedule.startswith("rate(") or unit.removesuffix("s") not in _UNITS:
        raise ValueError(f"{schedule} is not known to the laptop edition")
    return int(amount) * _UNITS[unit.removesuffix("s")]
