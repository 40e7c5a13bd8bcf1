"""The check of whole ledgers: numbers that come twice, or are missing."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from atrium import keys
from atrium.automation import checking
from atrium.ids import new_id, new_ids
from atrium.settings import settings
from atrium.store.fsck import sequences
from tests.support.client import flat_id
from tests.support.place import GHOST, Place
from tests.support.rows import clean

HOUR = timedelta(hours=1)
OLD = timedelta(days=2)
DAYS = timedelta(days=90)


def write(p: Place, root: Mapping[str, str], events: Mapping[timedelta, int | None], tenant: str | None = None) -> None:
    """Events of a root, each so long ago and with this number."""
    for age, number in events.items():
        id = aged(age)
        row = {"type": "task.created", "actor_kind": "user", "resource": "{}", **root}
        p.rows.put(keys.event(tenant or p.tenant, id), row if number is None else {**row, "sequence": number})


def aged(age: timedelta) -> str:
    now = int(new_id()[:8], 16) * 1000
    return new_ids(1, now - round(age.total_seconds() * 1000))[0]


def back(*numbers: int | None, age: timedelta = OLD) -> dict[timedelta, int | None]:
    """These numbers, one a second from this age on."""
    return {age - timedelta(seconds=place): number for place, number in enumerate(numbers)}


PROJECT = {"project": GHOST, "space": GHOST}
FINE: dict[str, dict[timedelta, int | None]] = {
    "from one": back(1, 2, 3),
    "since some have expired": back(7, 8, 9),
    "decided in another order than committed": back(3, 1, 2),
    "without a number yet": {**back(1, age=HOUR), HOUR * 0.99: None, HOUR * 0.98: 3},
    "within the last hour": {**back(1, 2), timedelta(minutes=5): 4},
    "decided before an hour, committed after others": {**back(1, 2), HOUR * 0.99: 3, HOUR * 1.01: 4},
    "about to expire": {DAYS - HOUR / 2: 1, **back(5, 6)},
    "expired, decided before others": {**back(5, 6), DAYS - HOUR * 1.01: 3, DAYS - HOUR * 0.99: 4},
    "of the last hour only": {timedelta(minutes=5): 7, timedelta(minutes=4): 9},
}


@pytest.mark.parametrize("case", FINE)
def test_numbers_without_a_gap_between_old_and_kept_events_are_no_damage(
    place: Place, check: Callable[..., Any], case: str
) -> None:
    write(place, PROJECT, FINE[case])
    summary = check(ledger=True)
    assert clean(summary), summary
    assert summary["rows"] == {"event": len([row for row in place.rows.all() if "#L#" in row["pk"]])}


DAMAGED: dict[str, tuple[dict[timedelta, int | None], dict[str, int]]] = {
    "a gap": (back(1, 2, 4, 5), {"sequence_missing": 3}),
    "without a number for an hour": (back(1, None, None, 4), {"event_unnumbered": 2}),
    "more gaps than events without a number": (back(1, None, 5), {"event_unnumbered": 1, "sequence_missing": 2}),
    "twice": (back(1, 2, 2, 3), {"sequence_twice": 2}),
    "twice, once within the last hour": ({**back(1, 2), timedelta(minutes=5): 2}, {"sequence_twice": 2}),
    "a number far from any other": (back(1, 10**15), {"sequence_missing": 2}),
    "both": (back(1, 1, 3), {"sequence_missing": 2, "sequence_twice": 1}),
}


@pytest.mark.parametrize("root", [PROJECT, {"principal": GHOST}, {"space": GHOST}, {}], ids=len)
@pytest.mark.parametrize("case", DAMAGED)
def test_a_number_that_is_missing_or_there_twice_is_found_at_the_root(
    place: Place, check: Callable[..., Any], case: str, root: Mapping[str, str]
) -> None:
    events, wanted = DAMAGED[case]
    write(place, root, events)
    rows = place.rows.all()
    summary = check(ledger=True, repair=True)
    assert (summary["complete"], summary["clean"], summary["left"]) == (True, False, dict.fromkeys(wanted, 1))
    assert {each["kind"]: each.get("sequence") or each["events"] for each in summary["details"]} == wanted
    assert {(*detail["key"], detail["repairable"]) for detail in summary["details"]} == {(*key_of(place, root), False)}
    assert place.rows.all() == rows


def key_of(place: Place, root: Mapping[str, str]) -> keys.Key:
    match root:
        case {"project": id}:
            return keys.project(place.tenant, id)
        case {"principal": id}:
            return keys.principal(place.tenant, id)
        case {"space": id}:
            return keys.space(place.tenant, id)
    return keys.tenant(place.tenant)


def test_rows_that_are_no_events_do_not_stop_the_check(place: Place, check: Callable[..., Any]) -> None:
    write(place, PROJECT, back(1, 3))
    for id, odd in ((aged(OLD), {"sequence": -1}), (aged(OLD), {"sequence": "x", "project": ["y"]}), ("z", {})):
        place.rows.put(keys.event(place.tenant, id), {**PROJECT, **odd})
    summary = check(ledger=True)
    assert (summary["complete"], set(summary["damage"])) == (True, {"sequence_missing"})


def test_a_late_event_that_is_listed_again_counts_once(place: Place, check: Callable[..., Any]) -> None:
    write(place, PROJECT, back(1, 2, 3))
    row = next(row for row in place.rows.all() if row.get("project") == GHOST)
    place.rows.copy(keys.Key(row["pk"], row["sk"]), keys.event(place.tenant, aged(OLD)), event=row["sk"])
    assert clean(check(ledger=True))


def test_segments_have_each_root_once_and_a_check_of_one_tenant_has_its_ledger(
    place: Place, check: Callable[..., Any]
) -> None:
    globex = flat_id(place.world.dev["tenants"]["globex"]["tenant_id"])
    for number in range(8):
        write(place, {"project": f"{number:024x}"}, back(1, 3))
    write(place, PROJECT, back(1, 3), tenant=globex)
    parts = [check(ledger=True, segment=i, segments=4) for i in range(4)]
    assert sum(part["damage"].get("sequence_missing", 0) for part in parts) == 9
    assert len([part for part in parts if part["damage"]]) > 1
    whole = check(ledger=True)
    assert sum(part["rows"]["event"] for part in parts) == whole["rows"]["event"]
    of_one = check(ledger=True, tenant_id=place.world.dev["tenants"]["globex"]["tenant_id"])
    assert (of_one["complete"], of_one["damage"]) == (True, {"sequence_missing": 1})


def test_a_check_that_runs_out_of_time_goes_on_behind_the_last_ledger_it_has_read(
    place: Place, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants = {row["id"] for row in place.rows.all() if row["pk"].endswith("#T") and row["sk"] == keys.META}
    for tenant in tenants:
        write(place, PROJECT, back(1, 3), tenant=tenant)
    judged = sequences._judged
    found: list[Any] = []
    while not found or found[-1]["after"] is not None:
        late: list[str] = []

        def stop(done: list[str] = late) -> bool:
            return bool(done)

        def judge(root: keys.Key, numbers: Any, done: list[str] = late) -> Any:
            done.append("a ledger")
            return judged(root, numbers)

        with monkeypatch.context() as patch:
            patch.setattr(checking, "deadline", lambda _, stop=stop: stop)
            patch.setattr(sequences, "_judged", judge)
            found.append(check(ledger=True, **({"after": found[-1]["after"]} if found else {})))
        assert len(found) < 20
    assert len(found) >= len(tenants)
    assert sum(part["damage"].get("sequence_missing", 0) for part in found) == len(tenants)
    assert [part["complete"] for part in found] == [False] * (len(found) - 1) + [True]


def test_a_ledger_that_keeps_for_ever_is_judged_from_its_first_event(
    place: Place, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(place, PROJECT, {DAYS * 10: 1, **back(5, 6)})
    assert clean(check(ledger=True)), "expired"
    monkeypatch.setenv("EVENT_DAYS", "0")
    settings.cache_clear()
    try:
        assert check(ledger=True)["damage"] == {"sequence_missing": 1}
    finally:
        monkeypatch.undo()
        settings.cache_clear()
