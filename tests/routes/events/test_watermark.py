"""No cursor passes an event of a writer that takes as long as one can, from the choice of the event's id to its
commit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from atrium.settings import LAST_CALL_AFTER
from atrium.store.engine.client import dynamodb
from atrium.store.engine.scope import elapsed
from local.functions import FunctionFailed, call
from local.template import Template
from tests.support.automation import WITHOUT_URL, sample
from tests.support.client import World, v1_id
from tests.support.clock import Clock
from tests.support.faults import FaultyClient, faulty
from tests.support.feed import Now, Poller, ledger
from tests.support.requests import EVERY_ROUTE, a_project

# One for each way to a commit: a request of either dialect, a reaction, an operator's commands.
WRITERS = ("V1CreateTask", "UpdateProject", "CreateProjectFromEvent", "Provision", "RotateCredential")

# The longest pause of Table before the next attempt of a call, and more.
PAUSE = 0.7


class Passing(Clock):
    """A clock on which a sleep passes at once. The moment `now` goes along, and a poller asks at each of its steps."""

    def __init__(self, now: Now, poller: Poller) -> None:
        super().__init__(lambda _: None)
        self._now, self._poller = now, poller

    def wait(self, since: float, seconds: float) -> None:
        before = self.waited
        super().wait(since, seconds)
        self._now.passes(seconds=self.waited - before)

    def passes(self, seconds: float) -> None:
        """In steps."""
        while seconds > 0:
            step = min(seconds, 5)
            self.wait(self.waited, step)
            self._poller.poll_all()
            seconds -= step


@pytest.fixture
def poller(world: World, now: Now) -> Poller:
    world.new_project()
    return Poller(world, now.ago(seconds=1), order="asc")


def writer(name: str, world: World, template: Template) -> Callable[[], object]:
    """A function that makes an event."""
    if name in EVERY_ROUTE:
        request = EVERY_ROUTE[name](world, a_project(world))
        return lambda: world(*request)
    function = template.functions[name]
    # The last one is about a tenant that is there.
    event = WITHOUT_URL[name](world, sample(function))[-1]
    return lambda: call(function, event)


@contextmanager
def slow(clock: Passing, commit: Callable[[], str | None]) -> Iterator[FaultyClient]:
    """Before a commit, time passes as `commit` says."""
    busy = False

    def choose(_: int, operation: str, __: Any) -> str | None:
        nonlocal busy
        if operation != "TransactWriteItems" or busy:
            return None
        busy = True
        try:
            return commit()
        finally:
            busy = False

    with faulty(choose, clock) as client:
        yield client


@pytest.mark.parametrize("name", WRITERS)
def test_cursor_passes_no_event_of_a_writer_whose_last_call_commits_at_the_end_of_its_time(
    world: World, now: Now, poller: Poller, template: Template, name: str
) -> None:
    clock, config = Passing(now, poller), dynamodb().meta.config
    longest = config.connect_timeout + config.read_timeout
    write = writer(name, world, template)
    known, began = set(ledger(world)), now.milliseconds
    committed: list[int] = []

    def commit() -> str | None:
        left = LAST_CALL_AFTER - elapsed()
        if left > PAUSE:
            clock.passes(min(longest, left - PAUSE))
            return "throttle"
        clock.passes(left + longest)
        committed.append(now.milliseconds)
        return "lost"

    # A function without a URL raises what a request answers.
    with slow(clock, commit) as client, suppress(FunctionFailed):
        write()
    assert client.calls.count("TransactWriteItems") > 1
    assert committed == [began + 8_500]
    seen_after(world, clock, poller, known)


@pytest.mark.parametrize("name", WRITERS)
def test_cursor_passes_no_event_of_a_writer_whose_process_stands_still_before_its_commit(
    world: World, now: Now, poller: Poller, template: Template, name: str
) -> None:
    """For all of the time that Lambda gives to a function, which is more than one gives itself."""
    clock = Passing(now, poller)
    write = writer(name, world, template)
    known = set(ledger(world))
    with slow(clock, lambda: clock.passes(template.functions[name].timeout)):
        write()
    seen_after(world, clock, poller, known)


def seen_after(world: World, clock: Passing, poller: Poller, known: set[str]) -> None:
    """The poller has not seen the events that are new, and sees each of them once."""
    new = {v1_id(id) for id in ledger(world)} - {v1_id(id) for id in known}
    assert new
    assert not new & set(poller.seen)
    clock.passes(31)
    assert poller.seen == [v1_id(id) for id in ledger(world) if v1_id(id) in poller.seen]
    assert new <= set(poller.seen)
    assert poller.twice == set()
