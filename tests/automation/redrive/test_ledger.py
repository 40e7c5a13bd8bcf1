"""Events that the stream lost are numbered and sent from the ledger, and a range of events is sent again."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest

from atrium import keys
from atrium.automation import redriving
from atrium.ids import new_ids, to_uuid
from atrium.models import timestamp
from atrium.store import unsent
from atrium.store.engine.table import Item, table
from atrium.store.engine.wire import wire_item
from atrium.store.ledger import root_of
from atrium.store.unsent import Unsent
from local.functions import FunctionFailed, call
from local.template import Template, lambda_environment
from tests.support.changes import require_published_form
from tests.support.client import World, v1_id
from tests.support.feed import tenant_of
from tests.support.iam import needless, of_its_calls
from tests.support.ledger import ledger, numbers, of_project
from tests.support.place import GHOST
from tests.support.redrive import DONE, Redrive, clear_caches
from tests.support.rows import clean, meta_of, rows_here
from tests.support.trace import Trace
from tests.support.world import KEY

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)

# By so much the functions' clock is ahead: what has been done is two hours old for them.
AHEAD = 2 * HOUR


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + AHEAD

    monkeypatch.setattr(unsent, "datetime", Later)


@pytest.fixture(scope="module")
def as_redrive(shared: World, template: Template) -> Iterator[World]:
    """The module's world, whose functions find Redrive's variables in this process."""
    endpoint = os.environ["AWS_ENDPOINT_URL_DYNAMODB"]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in lambda_environment(template.functions["Redrive"], endpoint, shared.bus.url, KEY).items():
            if name != "TABLE_NAME":
                patch.setenv(name, value)
        clear_caches()
        yield shared
        clear_caches()


@pytest.fixture
def redrive(template: Template) -> Redrive:
    return lambda **event: call(template.functions["Redrive"], event)


@pytest.fixture
def world(as_redrive: World) -> Iterator[World]:
    """The same, in which all events have their numbers."""
    shared = as_redrive
    counted: Counter[keys.Key] = Counter()
    for row in ledger(shared):
        key = keys.Key(row["pk"], row["sk"])
        root = root_of(keys.tenant_of(key.pk), row)
        counted[root] += 1
        if "sequence" not in row:
            rows_here().put(key, {**row, "sequence": counted[root]})
    shared.bus.events.clear()
    yield shared
    shared.bus.before = lambda _: ()
    for row in ledger(shared):
        if row.get("project") == GHOST:
            rows_here().delete(keys.Key(row["pk"], row["sk"]))


def some_changes(world: World) -> str:
    project = world.new_project()
    world.new_member(project, "viewer", "viewer")
    assert world("PATCH", world.new_record(project, "tasks"), {"status": "onHold"}).status == 200
    return project


def publish(template: Template, image: Item) -> None:
    """The stream brings an image of a root."""
    record = {"dynamodb": {"NewImage": wire_item(image), "SequenceNumber": "1"}}
    assert call(template.functions["PublishEvents"], {"Records": [record]}) == {"batchItemFailures": []}


def test_events_without_a_number_are_numbered_in_the_order_of_their_root_and_sent(
    world: World, redrive: Redrive, template: Template
) -> None:
    project = some_changes(world)
    assert world("DELETE", some_changes(world)).status == 204
    for row in ledger(world):
        rows_here().change(keys.Key(row["pk"], row["sk"]), sequence=None)
    total, trace = len(ledger(world)), Trace()
    trace.watch(table()._client)
    result = trace.invoke(template.functions["Redrive"], {"ledger": True})
    assert result == {"sent": 0, **DONE, "after": None, "events": {"sent": total, "failed": 0, "left": 0}}
    assert needless(of_its_calls(template, "Redrive"), trace.asked("Redrive")) == set()
    assert all(found == list(range(1, len(found) + 1)) for found in numbers(world).values())
    assert sorted(event["id"] for event in world.bus.details) == [v1_id(row["sk"]) for row in ledger(world)]
    by_id = {event["id"]: event for event in world.bus.details}
    for row in of_project(world, project):
        shown = world("GET", f"/v1/events/{v1_id(row['sk'])}").body
        assert by_id[v1_id(row["sk"])] == shown
        require_published_form(shown)
    assert clean(call(template.functions["Fsck"], {"ledger": True}))
    assert redrive(ledger=True)["events"] == {"sent": 0, "failed": 0, "left": 0}


def test_a_run_for_one_tenant_leaves_the_others_alone(world: World, redrive: Redrive) -> None:
    for name in ("acme", "globex"):
        assert world("POST", world.projects(tenant=name), {"name": "Gemini"}, tenant=name).status == 201
    tenant = world.dev["tenants"]["globex"]["tenant_id"]
    assert redrive(ledger=True, tenant_id=tenant)["events"] == {"sent": 1, "failed": 0, "left": 0}
    assert [event["tenant_id"] for event in world.bus.details] == [tenant]
    assert [row.get("sequence") for row in ledger(world, "acme")].count(None) == 1


def test_runs_out_of_time_go_on_behind_the_last_tenant_that_is_done(
    world: World, redrive: Redrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("acme", "globex"):
        assert world("POST", world.projects(tenant=name), {"name": "Gemini"}, tenant=name).status == 201
    results: list[Any] = []
    while not results or not results[-1]["complete"]:
        with monkeypatch.context() as patch:
            clock = Ticking()
            patch.setattr(Unsent, "run", clock.ticks_after(Unsent.run))
            patch.setattr(redriving, "time", clock)
            results.append(redrive(ledger=True, **({"after": results[-1]["after"]} if results else {})))
        assert len(results) < 9
    assert [result["events"]["sent"] for result in results if result["events"]["sent"]] == [1, 1]
    assert len({tuple(result["after"] or ()) for result in results}) == len(results)


class Ticking:
    """A clock on which a run's time is over once something is done."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def ticks_after(self, run: Callable[[Unsent, Callable[[], bool]], bool]) -> Any:
        def ticking(unsent: Unsent, _: Any) -> bool:
            done = run(unsent, lambda: False)
            self.now = 10.0**6
            return done

        return ticking


# ---------------------------------------------------------------- beside the publisher


def in_between(patch: pytest.MonkeyPatch, method: str, do: Callable[[], None], call_number: int = 0) -> None:
    """Lets something happen right before a call of a method of the run."""
    original, calls = getattr(Unsent, method), [0]

    def changed(self: Unsent, *given: Any) -> Any:
        calls[0] += 1
        if calls[0] == call_number + 1:
            do()
        return original(self, *given)

    patch.setattr(Unsent, method, changed)


STEPS = [
    *(("_found", 0), ("_numbered", 0), ("_mark", 0), ("_mark", 1), ("_number", 0), ("_number", 1)),
    *(("_send", 0), ("_unmark", 0)),
]


@pytest.fixture
def inverted(world: World) -> tuple[str, list[Item]]:
    """A project of which two events were committed in another order than they were decided, none of them published, and
    the images of the root after each of its three changes."""
    project = world.new_project()
    for _ in range(2):
        world.new_record(project, "tasks")
    first, second, third = (row["sk"] for row in of_project(world, project))
    meta = meta_of(world, project)
    rows_here().change(keys.Key(meta["pk"], meta["sk"]), last_events=[second])
    ids = enumerate((first, third, second), 1)
    return project, [{**meta, "sequence": number, "last_events": [id]} for number, id in ids]


@pytest.mark.parametrize(
    ("step", "calls", "images"),
    [
        *((*step, (1, 2)) for step in [*STEPS, ("", 0)]),
        *((*step, images) for step in [("_mark", 1), ("_number", 1)] for images in [(2,), (0, 1, 2)]),
    ],
)
def test_a_publisher_that_comes_at_any_step_gives_no_number_twice(
    world: World,
    redrive: Redrive,
    template: Template,
    inverted: tuple[str, list[Item]],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    calls: int,
    images: tuple[int, ...],
) -> None:
    project, all_images = inverted

    def come() -> None:
        for place in images:
            publish(template, all_images[place])

    with monkeypatch.context() as patch:
        if step:
            in_between(patch, step, come, calls)
        assert redrive(ledger=True)["events"]["failed"] == 0
    if not step:
        come()
    rows = of_project(world, project)
    assert sorted(row["sequence"] for row in rows) == [1, 2, 3]
    assert not any("unsent" in row for row in rows)
    told = {(event["id"], event["sequence"]) for event in world.bus.details}
    assert told == {(v1_id(row["sk"]), row["sequence"]) for row in rows}
    if step in ("_found", "_numbered"):
        by_image = {image["last_events"][0]: image["sequence"] for image in all_images}
        assert {row["sk"]: row["sequence"] for row in rows} == by_image, "the publisher knows the order"


class Killed(BaseException):
    """The end of a process."""


@pytest.mark.parametrize(("step", "calls"), STEPS[3:])
def test_a_run_that_dies_at_any_step_is_finished_by_the_next_one_with_the_same_numbers(
    world: World,
    redrive: Redrive,
    inverted: tuple[str, list[Item]],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    calls: int,
) -> None:
    def die() -> None:
        raise Killed

    with monkeypatch.context() as patch:
        in_between(patch, step, die, calls)
        with pytest.raises(Killed):
            redrive(ledger=True)
    assert redrive(ledger=True)["events"]["failed"] == 0
    rows = of_project(world, inverted[0])
    assert [row["sequence"] for row in rows] == [1, 2, 3]
    assert not any("unsent" in row for row in rows)
    assert {(event["id"], event["sequence"]) for event in world.bus.details} == {
        (v1_id(row["sk"]), row["sequence"]) for row in rows
    }


def test_an_event_that_the_bus_refuses_holds_up_no_other(
    world: World, redrive: Redrive, inverted: tuple[str, list[Item]]
) -> None:
    rows = of_project(world, inverted[0])
    poison = v1_id(rows[1]["sk"])

    def refused(entries: Any) -> list[int]:
        return [place for place, entry in enumerate(entries) if poison in entry["Detail"]]

    world.bus.before = refused
    for sent in (2, 0):
        assert redrive(ledger=True)["events"] == {"sent": sent, "failed": 1, "left": 0}
    world.bus.before = lambda _: ()
    assert redrive(ledger=True)["events"] == {"sent": 1, "failed": 0, "left": 0}
    assert [event["sequence"] for event in world.bus.details] == [1, 3, 2]


# ---------------------------------------------------------------- whose number is whose


def write(world: World, events: Mapping[timedelta, int | None], **attributes: Any) -> list[str]:
    """Events of a project that is gone, each so long before the functions' present."""
    ids = []
    for age, number in events.items():
        now = datetime.now(UTC) + AHEAD - age
        (id,) = new_ids(1, round(now.timestamp() * 1000))
        row = {"type": "task.created", "actor_kind": "user", "resource": "{}", "project": GHOST, "space": GHOST}
        row |= attributes | ({} if number is None else {"sequence": number})
        rows_here().put(keys.event(tenant_of(world), id), row)
        ids.append(id)
    return ids


TOLD: dict[str, tuple[dict[timedelta, int | None], list[int]]] = {
    "behind numbered ones": ({4 * HOUR: 6, 3 * HOUR: 7, 2 * HOUR: None, 2 * HOUR - MINUTE: None}, [6, 7, 8, 9]),
    "between numbered ones": ({4 * HOUR: 6, 3 * HOUR: None, 2 * HOUR: None, HOUR: 9}, [6, 7, 8, 9]),
    "before numbered ones": ({4 * HOUR: None, 3 * HOUR: None, 2 * HOUR: 9}, [7, 8, 9]),
    "near ones numbered in another order": (
        {4 * HOUR: 5, 3 * HOUR: 7, 3 * HOUR - timedelta(seconds=1): None, 2 * HOUR: 8},
        [5, 7, 6, 8],
    ),
    "a younger one, too": ({4 * HOUR: 1, 3 * HOUR: None, 5 * MINUTE: None}, [1, 2, 3]),
}


@pytest.mark.parametrize("case", TOLD)
def test_numbers_follow_from_the_events_around(world: World, redrive: Redrive, case: str) -> None:
    given, wanted = TOLD[case]
    write(world, given)
    unnumbered = sum(number is None for number in given.values())
    assert redrive(ledger=True)["events"] == {"sent": unnumbered, "failed": 0, "left": 0}
    found = [row for row in ledger(world) if row.get("project") == GHOST]
    assert [row["sequence"] for row in found] == wanted
    assert [event["sequence"] for event in world.bus.details] == [
        number for number, before in zip(wanted, given.values(), strict=True) if before is None
    ]


LEFT: dict[str, tuple[dict[timedelta, int | None], int]] = {
    "the ledger lacks events": ({4 * HOUR: 6, 3 * HOUR: None, 2 * HOUR: 9}, 1),
    "nothing else is kept": ({4 * HOUR: None}, 1),
    "the publisher has its hour": ({4 * HOUR: 6, 59 * MINUTE: None}, 0),
}


@pytest.mark.parametrize("case", LEFT)
def test_where_a_number_cannot_be_told_the_event_is_left_to_the_publisher(
    world: World, redrive: Redrive, case: str
) -> None:
    given, left = LEFT[case]
    write(world, given)
    before = ledger(world)
    assert redrive(ledger=True)["events"] == {"sent": 0, "failed": 0, "left": left}
    assert ledger(world) == before


@pytest.mark.parametrize("seconds", [30, 70])
def test_a_root_that_has_just_changed_is_left_to_the_next_run(
    world: World, redrive: Redrive, inverted: tuple[str, list[Item]], seconds: int
) -> None:
    """Another change, decided within the last minute, may have been committed before."""
    meta = meta_of(world, inverted[0])
    (young,) = new_ids(1, round((datetime.now(UTC) + AHEAD - timedelta(seconds=seconds)).timestamp() * 1000))
    rows_here().change(keys.Key(meta["pk"], meta["sk"]), last_events=[young])
    assert redrive(ledger=True)["events"] == {"sent": 0, "failed": 0, "left": 3}
    assert not any("sequence" in row or "unsent" in row for row in of_project(world, inverted[0]))
    rows_here().change(keys.Key(meta["pk"], meta["sk"]), last_events=meta["last_events"])
    assert redrive(ledger=True)["events"] == {"sent": 3, "failed": 0, "left": 0}


# ---------------------------------------------------------------- a range again


def of_range(world: World, **more: Any) -> dict[str, Any]:
    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    return {"tenant_id": tenant, "since": "2026-01-01T00:00:00Z", "until": "2026-01-01T02:00:00+01:00", **more}


def at(hours: float) -> timedelta:
    return datetime.now(UTC) + AHEAD - datetime(2026, 1, 1, tzinfo=UTC) - timedelta(hours=hours)


@pytest.fixture
def past(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[World, list[str]]:
    """Events of an hour long ago, before and behind it; the ids of those within that have a number."""
    monkeypatch.setattr("atrium.store.ledger.has_expired", lambda _: False)
    write(world, {at(-0.01): 1})
    ids = write(world, {at(0.001 * place + 0.0001): place + 2 for place in range(7)})
    (erased,) = write(world, {at(0.5): 9}, resource="null", erased_at=timestamp(datetime.now(UTC)))
    write(world, {at(0.6): None})
    write(world, {at(0.7): 2}, event=ids[0])
    write(world, {at(1.0001): 10})
    return world, [*ids, erased]


def test_a_range_is_sent_again_in_order_under_the_same_ids_and_numbers(
    past: tuple[World, list[str]], redrive: Redrive
) -> None:
    world, ids = past
    before = ledger(world)
    result = redrive(**of_range(world))
    assert result == {"complete": True, "after": None, "events": {"sent": 8, "failed": 0, "left": 1}}
    assert [(event["id"], event["sequence"]) for event in world.bus.details] == [
        (v1_id(id), number) for number, id in enumerate(ids, 2)
    ]
    assert world.bus.details[-1]["resource"] is None
    assert ledger(world) == before


def test_a_range_out_of_time_or_at_a_bus_that_takes_nothing_is_continued_behind_what_was_sent(
    past: tuple[World, list[str]], redrive: Redrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, ids = past
    monkeypatch.setattr(unsent, "BATCH", 3)
    monkeypatch.setattr(redriving, "LONGEST_SECONDS", 10**6)
    first = redrive(**of_range(world))
    assert (first["complete"], first["events"]) == (False, {"sent": 3, "failed": 0, "left": 0})
    world.bus.before = lambda entries: range(len(entries))
    monkeypatch.setattr(redriving, "LONGEST_SECONDS", 0)
    refused = redrive(**of_range(world, after=first["after"]))
    assert refused == {**first, "events": {"sent": 0, "failed": 3, "left": 0}}
    world.bus.before = lambda _: ()
    assert redrive(**of_range(world, after=refused["after"]))["events"] == {"sent": 5, "failed": 0, "left": 1}
    assert [event["id"] for event in world.bus.details] == [v1_id(id) for id in ids]


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"since": "2026-01-01T00:00:00Z"}, "since: Send it with tenant_id"),
        ({"ledger": True, "tenant_id": to_uuid(GHOST), "since": "2026-01-01T00:00:00Z"}, "and without ledger"),
        ({"tenant_id": to_uuid(GHOST), "since": "2026-01-01"}, "since: Input should have timezone info"),
        ({"until": "2026-01-01T00:00:00Z"}, "until: Must be after since"),
        ({"tenant_id": to_uuid(GHOST)}, "tenant_id, after: Send them with ledger or since"),
        ({"ledger": 1}, "ledger: Input should be a valid boolean"),
    ],
)
def test_a_request_that_is_not_one_is_refused_and_sends_nothing(
    world: World, template: Template, what: dict[str, Any], why: str
) -> None:
    with pytest.raises(FunctionFailed, match=f"Refused.*{why}"):
        call(template.functions["Redrive"], what)
    assert world.bus.events == []
