"""Two and three requests on one project in every order of their calls, with a crash at each: see support/schedules.

`make test` runs a fixed choice of schedules, `make prove` all orders of every case and more by chance. `pytest -rP`
shows how many there were.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import chain
from random import Random
from re import findall, fullmatch
from typing import Any

import pytest

from atrium import keys
from local.functions import call
from local.template import Template
from tests.support.client import World, flat_id
from tests.support.schedules.cases import WRITES
from tests.support.schedules.explorer import Explorer, by_chance, explorer
from tests.support.schedules.races import (
    ARCHIVED,
    CONDITIONAL,
    CREDENTIALS,
    DELETIONS,
    DISMISSED,
    HOLDERS,
    OVERTAKEN,
    OWNERS,
    PAIRS,
    PEOPLE,
    PROMOTED,
    RACES,
    SETTING,
    SHOWN_MATCHING,
    SHOWN_PAIRS,
    SHOWN_TWINS,
    SHOWN_UNCHANGED,
    SLIPPED_IN,
    TORN_HEIRS,
    TORN_OWNERS,
    TORN_PAIRS,
    TORN_TWINS,
    TORN_UNCHANGED,
    TORN_WHOLE,
    TRIPLES,
    TWINS,
    UNCHANGED,
    UNCHANGED_TWINS,
    WITHOUT_A_KEY,
    of,
)
from tests.support.schedules.run import Run
from tests.support.world import Count, full, inline

SEED = 4

# In full one of these takes half an hour, on a busy machine more.
pytestmark = pytest.mark.timeout(full(300, 7_200))


@pytest.fixture(scope="module")
def exploring(template: Template, engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explorer]:
    directory = tmp_path_factory.mktemp("schedules")
    with inline(template, engine, directory, call) as world:
        world.dev["tenants"]["acme"]["principals"]["second"] = second_admin(world, template)
        with explorer(template, world, engine, os.environ) as made:
            yield made


def second_admin(world: World, template: Template) -> Any:
    second = {"name": "Second", "email": "second@acme.example", "tenant_role": "admin"}
    request = {
        "request_token": "second",
        "tenant_id": world.dev["tenants"]["acme"]["tenant_id"],
        "principals": [{**second, "credentials": [{"kind": "token"}]}],
    }
    (made,) = call(template.functions["Provision"], request)["principals"]
    return {**made, "token": made["credentials"][0]["secret"]}


@pytest.fixture
def explored(exploring: Explorer, count: Count) -> Iterator[Explorer]:
    before = exploring.runs.copy()
    yield exploring
    count(**exploring.runs - before)


def explore(explored: Explorer, cases: Sequence[str], few: int, many: int, *, crashes: bool = False) -> Iterator[Run]:
    """A few schedules by chance, a crash in some of them. In full first every order of every case's calls, with
    `crashes` a crash at each step of each, and then many by chance."""
    random = Random(SEED)
    if full(0, 1):
        for case in cases:
            yield from explored.every(case, crashes=crashes)
    chosen = random.choices(cases, k=many) if full(0, 1) else in_turn(cases, random)[:few]
    for case in sorted(chosen):
        yield explored.some(case, random)


def in_turn(cases: Sequence[str], random: Random) -> list[str]:
    """The cases by chance, but first those in which a request, or a way to read or to commit, has its first turn."""
    seen: set[str] = set()
    first: list[str] = []
    rest: list[str] = []
    for case in random.sample(cases, len(cases)):
        parts = set(findall(r"\w+|\W-?\d+", case))
        (rest if parts <= seen else first).append(case)
        seen |= parts
    return first + rest


def test_given_schedule_repeats_exactly(explored: Explorer) -> None:
    """Runs the schedule in SCHEDULE, or one with a crash, twice with the same result."""
    text = os.environ.get("SCHEDULE", "Apollo/V1UpdateProject,V1DeleteProject:01B0100")
    first, second = explored.given(text), explored.given(text)
    for run in (first, second):
        print(run, *(attempt.answer and attempt.answer.seen for attempt in run.attempts))
    assert (str(first), first.options, explored.shown(first)) == (str(second), second.options, explored.shown(second))


def test_each_order_runs_exactly_once(explored: Explorer) -> None:
    """Two requests that do not meet have two calls each; two that do, in the two orders in which both have read before
    either commits, two more."""
    runs = list(explored.every("Apollo/CreateProject,V1AddMember"))
    assert sorted(run.schedule for run in runs) == ["0011", "0101", "0110", "1001", "1010", "1100"]
    runs = list(explored.every("Apollo/V1UpdateProject,V1UpdateProject"))
    assert sorted(run.schedule for run in runs) == ["0011", "010111", "011000", "100111", "101000", "1100"]
    runs = list(explored.every("Apollo/V1AddMember=k,V1AddMember=k", crashes=True))
    assert len({run.schedule for run in runs}) == len(runs) > 50
    assert {"0A01", "0a001", "0x11", "0X1", "10B010"} <= {run.schedule for run in runs}


def test_two_writes_leave_the_result_of_some_order(explored: Explorer) -> None:
    for _ in explore(explored, PAIRS, few=2 * len(WRITES) // 3, many=2_000):
        pass


def test_twins_with_one_key_commit_once(explored: Explorer) -> None:
    for run in explore(explored, TWINS, few=len(TWINS), many=0, crashes=True):
        assert len(run.commits) <= 1
        answers = [answer for answer in run.observed.values() if answer]
        assert len({(answer.status, answer.recorded) for answer in answers}) <= 1
        assert len(run.commits) == 1 or not answers


def test_twins_without_a_key_are_two_requests(explored: Explorer) -> None:
    for _ in explore(explored, WITHOUT_A_KEY, few=12, many=500):
        pass


def test_if_match_holds_at_every_moment_of_another_commit(explored: Explorer) -> None:
    for _ in explore(explored, CONDITIONAL, few=24, many=0):
        pass


def test_harmful_races_leave_the_result_of_some_order(explored: Explorer) -> None:
    for _ in explore(explored, RACES, few=len(RACES), many=0, crashes=True):
        pass


def test_a_space_keeps_an_owner_and_each_role_in_both_its_rows(explored: Explorer) -> None:
    """The check of the table, which follows each run, counts the owners and compares the rows. In full every order; and
    some of the torn reads, where the number of owners and a member are not of one moment."""
    world = explored.cases.world
    tenant, space = (flat_id(path.split("/")[3]) for path in (world.space(), world.owned()))
    owners = keys.owners(tenant, space)
    cases = explore(explored, OWNERS, few=len(OWNERS), many=0, crashes=True)
    torn = explore(explored, TORN_OWNERS, few=len(TORN_OWNERS) // 4, many=200)
    for run in chain(cases, torn):
        by_owners = all(attempt.sent.by != world.id("owner") for attempt in run.attempts)
        assert owners not in run.changed or int(run.changed[owners]["count"]["N"]) > 0 or not by_owners, run


def test_races_of_people_leave_the_result_of_some_order(explored: Explorer) -> None:
    for _ in explore(explored, PEOPLE, few=len(PEOPLE), many=0, crashes=True):
        pass


def test_races_of_credentials_leave_the_result_of_some_order(explored: Explorer) -> None:
    """Of two that would be one too many, one is refused."""
    for order in ("01", "10"):
        run = explored.run("Apollo/Issue@root,Issue", explored.after_reading(order))
        assert sorted(answer.status for answer in run.observed.values() if answer) == [201, 409], run
    for case in (
        "Enrol@root,RevokeIssued",
        "IssueToBot@root,EndEarlier",
        "IssueLong@child,EndEarlier",
        "RotateChild@root,Revoke",
    ):
        run = explored.given(f"Apollo/{case}:")
        assert all(attempt.succeeded for attempt in run.attempts), run
    explore_meetings(explored, CREDENTIALS)


def test_races_with_the_end_of_a_holder_leave_the_result_of_some_order(explored: Explorer) -> None:
    explore_meetings(explored, HOLDERS)


def test_deletion_with_what_leaves_nothing_behind_is_like_some_order(explored: Explorer) -> None:
    explore_meetings(explored, DELETIONS)


def explore_meetings(explored: Explorer, cases: Sequence[str]) -> None:
    """Both requests have read before either commits: mostly the second one first. In full every order, too."""
    for place, case in enumerate(cases[:: full(2, 1)]):
        explored.run(case, explored.after_reading("01" if place % 4 == 2 else "10"), crashes=False)
    for _ in explore(explored, cases, few=3, many=500):
        pass


def test_purge_mends_what_a_deletion_and_another_request_have_left(explored: Explorer) -> None:
    """The purge comes at any step behind the deletion, and ends 30 s later."""
    for place, case in enumerate(SLIPPED_IN):
        others = "12"[: case.count(",")]
        orders = [f"{others}0p", f"0p{others}", f"0{others}p"]
        for order in orders if full(0, 1) else [orders[place % 3]]:
            run = explored.mended(case, explored.after_reading(order))
            if order == "10p":
                assert len(run.commits) == 2, f"nothing slipped in: {run}"
    random = Random(SEED)
    for case in random.choices(SLIPPED_IN + DELETIONS, k=full(6, 2_000)):
        explored.mended(case, by_chance(random))


def test_writes_of_equal_values_leave_the_result_of_some_order(explored: Explorer) -> None:
    every = chain.from_iterable(map(explored.every, OVERTAKEN[::5]))
    others = [case for number, case in enumerate(OVERTAKEN) if number % 5]
    some = explore(explored, others, few=len(others) // 3, many=0)
    torn = Random(SEED).sample(TORN_UNCHANGED + SHOWN_UNCHANGED, full(200, 60))
    # Three requests have hundreds of orders: all orders of all cases would take hours.
    twins = Random(SEED).sample(UNCHANGED_TWINS, full(len(UNCHANGED_TWINS), 10))
    pairs = Random(SEED).sample(UNCHANGED, full(len(UNCHANGED), 100))
    unchanged = [(pairs, 12, 500), (twins, 5, 500), (torn, 16, 500)]
    for _ in chain(every, some, *(explore(explored, cases, few, many) for cases, few, many in unchanged)):
        pass


def test_write_during_archiving_is_refused_or_before_it(explored: Explorer) -> None:
    for _ in explore(explored, ARCHIVED, few=12, many=500):
        pass


def test_write_after_a_lost_role_is_refused(explored: Explorer) -> None:
    for run in explore(explored, DISMISSED, few=20, many=500):
        commits = "".join(str(attempt.actor) for attempt in run.commits)
        assert "0" not in commits.partition("1")[2], run


def test_write_before_a_granted_role_is_refused(explored: Explorer) -> None:
    for run in explore(explored, PROMOTED, few=12, many=500):
        assert [attempt.actor for attempt in run.commits][:1] != [0], run


def test_three_requests_leave_the_result_of_some_order(explored: Explorer) -> None:
    for _ in explore(explored, TRIPLES, few=len(TRIPLES), many=0):
        pass


def test_twins_with_torn_reads_commit_once(explored: Explorer) -> None:
    """A batch is no snapshot: one reads an item before, or after, its twin has committed, and the others not. One that
    finds its project deleted, and not yet its twin's record, is a replay."""
    deleted_before_the_record = explored.every("Apollo/V1DeleteProject=k~1,V1DeleteProject=k")
    for run in chain(deleted_before_the_record, explore(explored, TORN_TWINS, few=10, many=0)):
        assert len(run.commits) <= 1
        assert len({answer.recorded for answer in run.observed.values() if answer}) <= 1


def test_twins_seeing_a_commit_item_by_item_commit_once_with_one_answer(
    explored: Explorer,
) -> None:
    """A twin that finds the project deleted, the member there or a newer version, and no record yet, is a replay."""
    seen_before_the_record = of("Apollo", "V1DeleteProject=k^1,V1DeleteProject=k", "V1AddMember=k^1,V1AddMember=k")
    seen_before_the_record += of("Apollo", "V1UpdateProject=k!^1,V1UpdateProject=k!")
    every = chain.from_iterable(map(explored.every, seen_before_the_record))
    shown = SHOWN_TWINS + SHOWN_MATCHING
    some = Random(SEED).sample(shown, full(len(shown), 30))
    for run in chain(every, explore(explored, some, few=16, many=500)):
        answers = [answer for answer in run.observed.values() if answer]
        assert len({(answer.status, answer.recorded) for answer in answers}) <= 1, run
        assert len(run.commits) == 1 or not answers, run


def read_before_the_record(explored: Explorer, case: str) -> list[Run]:
    """The twins one after the other; and so that the second reads when all items of the first one's commit but the
    record are visible, fails to commit, and reads again."""
    plain = explored.given(f"{case}:")
    first = ["0"] * (plain.schedule.count("0") - 1)
    # From there on the second, as far as it can: its commit has to wait for the record.
    return [plain, explored.run(case, lambda options: first.pop() if first else max(options), crashes=False)]


@pytest.mark.parametrize("route", SETTING)
def test_twin_with_values_stored_and_record_missing_gives_the_first_answer(explored: Explorer, route: str) -> None:
    """The twin changes nothing, and tries to commit a record of its own."""
    case = f"Apollo/{route}=k^1,{route}=k"
    runs = list(explored.every(case)) if full(0, 1) else read_before_the_record(explored, case)
    for run in runs:
        (committed,) = run.commits
        first, second = committed.answer, run.observed[1 - committed.actor]
        assert first is not None
        assert second is not None
        assert (first.status, first.replayed, second.status, second.replayed) == (200, False, 200, True), run
        assert (first.content, first.headers.get("etag")) == (second.content, second.headers.get("etag")), run
    assert [run for run in runs if fullmatch(r"00+1+01+", run.schedule)]


def test_write_seeing_a_commit_item_by_item_leaves_the_result_of_some_order(explored: Explorer) -> None:
    for _ in explore(explored, Random(SEED).sample(SHOWN_PAIRS, 200), few=24, many=0):
        pass


def test_write_with_torn_reads_leaves_the_result_of_some_order(explored: Explorer) -> None:
    """`make test` has all orders of some of the cases that once went wrong, and the others in one by chance."""
    once = TORN_WHOLE + TORN_HEIRS
    every = chain.from_iterable(map(explored.every, once[::5]))
    others = [case for number, case in enumerate(once) if number % 5]
    torn = Random(SEED).sample(TORN_PAIRS, 200)
    for _ in chain(every, explore(explored, others, few=len(others), many=0), explore(explored, torn, few=16, many=0)):
        pass
