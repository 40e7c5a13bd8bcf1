"""`atrium events --follow`: each event once, whatever becomes of the server."""

import json
from collections.abc import Callable, Iterator

import pytest

from atrium_cli.client import Client
from tests.support.client import World, v1_id
from tests.support.command import Atrium, Between
from tests.support.feed import Now, ledger, standing

Follow = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Now:
    return standing(monkeypatch)


@pytest.fixture
def follow(atrium: Atrium, now: Now, monkeypatch: pytest.MonkeyPatch) -> Follow:
    """Follows while steps are left, one at each pause of the command line, then interrupts it. Returns the exit status,
    the ids of the events, and what was noted."""

    def run(steps: Iterator[object], *words: str) -> tuple[int, list[str], str]:
        def pause(seconds: float) -> None:
            now.passes(seconds=seconds)
            if next(steps, StopIteration) is StopIteration:
                raise KeyboardInterrupt

        monkeypatch.setattr(Client, "pause", staticmethod(pause))
        done = atrium("events", "--follow", "--json", *words)
        return done.exit, [json.loads(line)["id"] for line in done.out.splitlines()], done.err

    return run


def test_follow_prints_each_event_once_and_survives_errors_and_a_restart(
    world: World, api: Between, now: Now, follow: Follow
) -> None:
    def steps() -> Iterator[object]:
        for fault in (503, 500, "lost", "unsent", 429):
            project = world.new_project()
            for _ in range(3):
                now.passes(milliseconds=7)
                world.new_record(project, "tasks")
            api.faults.extend([fault] * 6)
            # The attempts of one request, with a pause after each; then those that it makes until the time is over.
            yield from range(6)
            now.passes(seconds=31)
            yield from range(2)
        world.new_project()
        api.stop()
        yield from range(3)
        api.start()
        now.passes(seconds=31)
        yield from range(3)

    before = ledger(world)
    now.passes(minutes=1)
    exit, printed, said = follow(steps())
    assert exit == 130
    assert printed == [v1_id(id) for id in ledger(world)[len(before) :]]
    assert len(printed) == 21
    assert said.count("Trying again until it answers.") == said.count("It answers again.") == 6
    assert f"Error: {api.url} cannot be reached: Connection refused." in said


def test_follow_from_a_time_goes_on_where_events_are_no_longer_kept(world: World, now: Now, follow: Follow) -> None:
    since = now.ago(seconds=1)
    world.new_project()
    now.passes(minutes=1)
    first = ledger(world)[-1]

    def steps() -> Iterator[object]:
        yield True
        now.passes(days=91)
        world.new_project()
        now.passes(minutes=1)
        yield True
        yield True

    exit, printed, said = follow(steps(), "--since", since)
    assert (exit, printed) == (130, [v1_id(first), v1_id(ledger(world)[-1])])
    assert said.startswith("Events were lost: those before ")
    assert said.endswith("Z are no longer kept.\n")
    assert said.count("\n") == 1


def test_event_that_is_listed_twice_is_printed_once(world: World, now: Now, follow: Follow, api: Between) -> None:
    """As one is that was committed late; here the whole list begins anew."""
    since = now.ago(seconds=1)
    for _ in range(3):
        world.new_project()
        now.passes(milliseconds=7)

    def steps() -> Iterator[object]:
        api.faults.append("anew")
        yield True
        assert not api.faults
        yield True

    now.passes(minutes=1)
    exit, printed, _ = follow(steps(), "--since", since)
    assert (exit, len(printed), len(set(printed))) == (130, 3, 3)


def test_follow_with_filters_ends_after_as_many_as_are_wanted(world: World, now: Now, follow: Follow) -> None:
    since = now.ago(seconds=1)
    project = world.new_project()
    task = world.new_record(project, "tasks")
    for _ in range(3):
        world.new_record(project, "datasets")
    now.passes(minutes=1)
    words = ("--since", since, "--type", "dataset.*", "--type", "task.*", "--limit", "2")
    exit, printed, said = follow(iter(range(9)), *words)
    assert (exit, len(printed), said) == (0, 2, "")
    assert world("GET", f"/v1/events/{printed[0]}").body["resource"]["id"] == task.rpartition("/")[2]


def test_refused_follow_ends_with_the_status_of_its_refusal(atrium: Atrium, world: World) -> None:
    member = world.principal("contributor")["token"]
    assert atrium("events", "--follow", ATRIUM_TOKEN=member).exit == 5
    assert atrium("events", "--follow", "--type", "No").exit == 3


def test_followed_events_are_tables_for_people(world: World, atrium: Atrium, now: Now) -> None:
    since = now.ago(seconds=1)
    project = world.new_project().rpartition("/")[2]
    moment = now.ago(seconds=0)[:19]
    now.passes(minutes=1)
    done = atrium("events", "--follow", "--since", since, "--limit", "1")
    assert done.seen == (
        0,
        (
            f"{moment}Z  project {project}\n  project.created       by user {world.uuid('owner')}\n"
            f"                        with {world('GET', '/v1/me').body['credential']['id']}\n"
        ),
        "",
    )
