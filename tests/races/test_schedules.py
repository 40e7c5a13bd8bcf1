"""Two and three requests on one project in every order of their calls, with a crash at each: see support/schedules.

`make test` runs a fixed choice of schedules, `make prove` all orders of every case and more by chance. `pytest -rP`
shows how many there were.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import chain, combinations_with_replacement
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
from tests.support.schedules.run import Run
from tests.support.world import Count, full, inline

SEED = 4

# In full one of these takes half an hour, on a busy machine more.
pytestmark = pytest.mark.timeout(full(300, 7_200))

# Routes with If-Match for the changed resource.
MATCHING = [
    *("UpdateProject", "DeleteProject", "V1UpdateProject", "V1DeleteProject", "V1UpdateMember", "V1RemoveMember"),
    *("UpdateTask", "DeleteTask", "V1UpdateTask", "V1DeleteTask", "V1UpdateDataset", "V1DeleteDecision"),
    *("V1UpdateTenant", "V1UpdateSpace", "V1UpdateSpaceMember", "V1RemoveSpaceMember"),
    *("V1UpdateCredential", "V1DeleteCredential", "V1RotateCredential"),
]

# Routes that set fields: a repeated request changes nothing.
SETTING = ["UpdateProject", "UpdateTask", "SetTaskStatus", "SetTaskPhase", "ReassignTask"]
SETTING += [route for route in WRITES if route.startswith("V1Update")]

# The items of a read that come before, or after, the others.
TORN = [1, 2, 3, -1, -2, -3]


def of(project: str, *cases: str) -> list[str]:
    return [f"{project}/{case}" for case in cases]


# Where a race could end with no manager, with a right that is gone, or with something below nothing.
RACES = of(
    "Apollo",
    *("HandOver,Remove", "HandOver,Demote", "HandOver,HandOverToViewer", "HandOverToViewer,V1RemoveMember"),
    *("HandOverToViewer,V1UpdateMember", "HandOver,HandBack@contributor", "HandOver,DemoteOwner@contributor"),
    *("HandOver,RemoveOwner@contributor", "Remove,DemoteOwner@contributor", "Remove,RemoveOwner@contributor"),
    *("Demote,HandBack@contributor", "Demote,Rename@contributor", "Remove,V1DeleteProject@contributor"),
    *("Remove,Remove@contributor", "Demote@contributor,Remove@contributor", "Demote,V1UpdateMember@contributor"),
    *("HandOver!,Demote", "Demote!,HandOver", "Remove!,HandOver", "Remove,UpdateTask", "V1RemoveMember,Assign"),
    *("DeleteTask,AddTaskNote", "V1DeleteProject,AddTaskNote", "DeleteProject,AddTeamMember"),
    *("HandOverToViewer,V1RemoveMember@viewer", "HandOverToViewer,RemoveTeamMember@viewer"),
    *("V1UpdateMember,V1RemoveMember@viewer", "V1RemoveMember,RemoveTeamMember@viewer", "Assign,V1RemoveMember@viewer"),
)
# Where a race could end with a space without an owner, or with a role that is in one of its two rows alone.
OWNERS = of(
    "Apollo",
    *("DemoteInOwned@viewer,DemoteOtherInOwned@contributor", "RemoveFromOwned@viewer,RemoveOtherFromOwned@contributor"),
    *("DemoteInOwned@viewer,RemoveOtherFromOwned@contributor", "DemoteInOwned@contributor,DemoteOtherInOwned@viewer"),
    *("RemoveFromOwned@contributor,RemoveOtherFromOwned@viewer", "DemoteInOwned@contributor,DemoteOtherInOwned"),
    *(
        "JoinOwned@viewer,JoinOwned@contributor",
        "JoinOwned,NewSpace",
        "NewSpace,NewSpace",
        "JoinOwned@viewer,RemoveOtherFromOwned",
    ),
    *(
        "DemoteInOwned@viewer,RemoveFromOwned@viewer",
        "DemoteInOwned,RemoveFromOwned",
        "DemoteInOwned,DemoteInOwned@viewer",
    ),
    *("SameInOwned@viewer,DemoteOtherInOwned@contributor", "DemoteInOwned@viewer,PromoteInOwned"),
    *("V1UpdateSpaceMember,V1RemoveSpaceMember", "V1AddSpaceMember,V1UpdateSpace", "SameSpace,V1UpdateSpace"),
    *("SameTenant,V1UpdateTenant", "DemoteInOwned@viewer!,DemoteInOwned", "V1UpdateTenant!,V1UpdateTenant"),
)
TORN_OWNERS = of(
    "Apollo",
    *(
        f"{one}@contributor~{item},{other}@viewer"
        for one in ("DemoteOtherInOwned", "RemoveOtherFromOwned")
        for item in (1, 2, 3, 4, -1, -2, -3, -4)
        for other in ("DemoteInOwned", "RemoveFromOwned", "RemoveOtherFromOwned")
    ),
)
# Where a tenant could end without an admin, a suspended principal with more than before, or two with one name.
PEOPLE = of(
    "Apollo",
    *(
        f"{one},{other}@second"
        for one in ("DemoteSecond", "SuspendSecond")
        for other in ("DemoteAdmin", "SuspendAdmin", "V1CreatePrincipal")
    ),
    *(
        f"{one},{other}@second"
        for one in ("DemoteAdmin", "SuspendAdmin")
        for other in ("DemoteSecond", "SuspendSecond")
    ),
    *("Suspend,V1AddMember", "Suspend,AddTeamMember", "SuspendHeir,HandOverToViewer", "SuspendHeir,V1UpdateMember"),
    "SuspendContributor,V1CreateProject@contributor",
    *("Email,SameEmail", "SameEmail,SameEmail", "V1UpdatePrincipal,Email", "Email,V1UpdatePrincipal@second"),
)
# Where a credential could be good for longer than what made it, have more than two secrets, or be one too many.
CREDENTIALS = of(
    "Apollo",
    *(
        f"{issue}@root,{end}"
        for issue in ("Issue", "Enrol", "IssueToBot")
        for end in ("RevokeIssued", "Revoke", "EndEarlier")
    ),
    *("IssueLong@root,EndEarlier", "Issue@child,RevokeIssued", "IssueLong@child,EndEarlier", "Issue@child,Revoke"),
    *("Issue@root,RevokeIssued@root", "Issue@root,Issue@root", "Issue@root,NameRoot", "Issue@root,Rotate"),
    *("Rotate,Rotate", "Rotate,Rotate@root", "Rotate@root,Revoke", "Rotate,RevokeIssued@root", "Rotate,EndEarlier"),
    *("Rotate,NameRoot", "RotateChild@root,Revoke", "RotateChild,RevokeIssued", "RotateChild@child,EndEarlier"),
    *("RevokeChild,RevokeIssued", "RevokeChild@child,RotateChild", "EndEarlier,Revoke", "EndEarlier,EndEarlier@root"),
    *(
        "NameRoot,RevokeIssued",
        "Revoke,RevokeIssued@root",
        "Rotate!,NameRoot",
        "Revoke!,EndEarlier",
        "NameRoot!,Issue@root",
    ),
    *("Issue,Issue@root", "IssueToBot@second,IssueToBot@root"),
)
# The holder of credentials is suspended or deleted. A change of its own that gives it nothing may commit behind its
# suspension, like any other request that has read before.
HOLDERS = of(
    "Apollo",
    *(
        f"{request},{change}"
        for request in ("IssueToBot", "IssueToBot@bot", "RotateBot", "RotateBot@bot", "EndBot", "RevokeBot")
        for change in ("SuspendBot", "DeleteBot")
    ),
    *("EndBot@bot,DeleteBot", "RevokeBot@bot,DeleteBot"),
)
# A deletion and what leaves nothing behind it, in either order; where the last admin could go, too.
DELETIONS = of(
    "Apollo",
    *(f"DeleteOutsider,{given}" for given in ("V1AddMember", "AddTeamMember", "NewSpace", "JoinOwned@viewer")),
    *(f"DeleteOutsider,{changed}" for changed in ("V1AddSpaceMember", "Suspend", "DeleteOutsider@second")),
    *(f"DeleteViewer,{changed}" for changed in ("V1UpdateMember", "V1RemoveMember", "Assign", "Enrol", "RevokeIssued")),
    *(f"DeleteViewer,{role}" for role in ("DemoteOtherInOwned@contributor", "RemoveOtherFromOwned", "UpdateTask")),
    *(
        f"DeleteContributor,{own}@contributor"
        for own in ("V1CreateTask", "V1AddMember", "V1RemoveMember", "V1DeleteProject")
    ),
    *("DeleteContributor,Demote", "DeleteContributor,Remove", "DeleteContributor,V1DeleteProject"),
    *(f"DeleteSecond{by},{last}" for by in ("", "@second") for last in ("DemoteAdmin", "SuspendAdmin")),
    *("DeleteSecond,DemoteAdmin@second", "DeleteSecond,SuspendAdmin@second", "DeleteSecond,DemoteSecond"),
    *("V1DeleteSpace,JoinAttic", "V1DeleteSpace,RenameAttic", "V1DeleteSpace,V1DeleteSpace@second"),
)
# A deletion and what may slip in: the purge mends that.
SLIPPED_IN = of(
    "Apollo",
    *("DeleteViewer,HandOverToViewer", "DeleteContributor,HandOver", "DeleteContributor@second,HandOver"),
    # A change of a project hands it over, too.
    "DeleteContributor,V1UpdateProject@contributor",
    *("DeleteContributor,V1CreateProject@contributor", "DeleteContributor,CreateProject@contributor"),
    *("V1DeleteSpace,CreateInAttic", "V1DeleteSpace@second,CreateInAttic", "V1DeleteSpace,CreateInAttic@second"),
    # Who deleted it is no heir any more.
    *("DeleteContributor@second,HandOver,DemoteSecond", "DeleteContributor@second,HandOver,SuspendSecond"),
    *("DeleteContributor@second,HandOver,DeleteSecond", "DeleteContributor,DeleteViewer,HandOverToViewer"),
    *("V1DeleteSpace,CreateInAttic,JoinAttic", "V1DeleteSpace,CreateInAttic@second,DeleteSecond"),
)
TRIPLES = of(
    "Apollo",
    "DemoteInOwned@viewer,DemoteOtherInOwned@contributor,PromoteInOwned",
    "RemoveOtherFromOwned@contributor,RemoveFromOwned@viewer,JoinOwned",
    *("HandOver,Remove,Demote", "HandOver,Remove,RemoveOwner@contributor", "HandOver,Demote,HandBack@contributor"),
    *("HandOver,DemoteOwner@contributor,HandOverToViewer", "HandOverToViewer,V1RemoveMember,V1UpdateMember"),
    *("V1DeleteProject,CreateTask,DeleteProject", "DeleteProject,V1AddMember,V1DeleteProject"),
    *("DeleteTask,AddTaskNote,V1DeleteProject", "DeleteTask,AddTaskNote,DeleteTaskNote"),
    *("Archive,V1CreateTask,Unarchive", "Archive,V1AddMember,Unarchive", "Archive,UpdateProject,Unarchive"),
    *("CreateProject=k,CreateProject=k,CreateProject=k", "V1CreateProject=k,V1CreateProject=k,V1CreateProject=k"),
    *("CreateTask=k,CreateTask=k,CreateTask=k", "V1DeleteProject=k,V1DeleteProject=k,Rename"),
    *("Remove=k,Remove=k,HandOver", "UpdateProject=k,UpdateProject=k,AddTeamMember"),
)


PAIRS = of("Apollo", *(f"{one},{other}" for one, other in combinations_with_replacement(WRITES, 2)))
TWINS = of("Apollo", *(f"{route}=k,{route}=k" for route in WRITES))
WITHOUT_A_KEY = of("Apollo", *(f"{route}=,{route}=" for route in WRITES))
CONDITIONAL = of("Apollo", *(f"{one}!,{other}" for one in MATCHING for other in WRITES))
# Requests with the current values: they change nothing unless another request comes before.
SAME = ["SameProject", "SameWholeProject", "SameMember", "SameTask", "SameStatus"]
OVERTAKEN = of(
    "Apollo",
    *("SameProject,V1UpdateProject", "SameProject,Archive", "SameWholeProject,UpdateProject"),
    *("SameMember,V1UpdateMember", "SameMember,V1RemoveMember", "SameTask,V1UpdateTask", "SameTask,DeleteTask"),
    *("SameStatus,SetTaskStatus", "SameTask,V1DeleteProject", "SameMember,V1DeleteProject"),
)
UNCHANGED = of("Apollo", *(f"{same}{key},{other}" for same in SAME for key in ("", "=") for other in WRITES))
UNCHANGED += of("Apollo", *(f"{same}!,{other}" for same in SAME if same != "SameStatus" for other in WRITES))
UNCHANGED_TWINS = of("Apollo", *(f"{same}=k,{same}=k,{other}" for same in SAME for other in WRITES))
TORN_UNCHANGED = of("Apollo", *(f"{same}~{item},{other}" for same in SAME for item in TORN for other in WRITES))
ARCHIVED = of("Apollo", *(f"{route},Archive" for route in WRITES))
# A caller with a role in the project alone, who loses it during the request; and one who gets a role.
DISMISSED = of(
    "Gemini",
    *(f"{route}@outsider,{change}" for route in [*WRITES, *SAME] for change in ("DemoteOutsider", "RemoveOutsider")),
)
TORN_TWINS = of("Apollo", *(f"{route}=k~{item},{route}=k" for route in WRITES for item in TORN))
TORN_PAIRS = of("Apollo", *(f"{one}~{item},{other}" for one in WRITES for item in TORN for other in WRITES))
# The flat PUT shows all that a query brought: here one that has passed the members before their number changes.
TORN_WHOLE = of(
    "Apollo", *(f"UpdateProject~{n},{other}" for n in (3, 4) for other in ("AddTeamMember", "V1RemoveMember"))
)
# A batch may bring the heir's row from after the hand-over, and META from before it.
TORN_HEIRS = of("Apollo", *(f"{change}~{item},HandOver" for change in ("Demote", "Remove") for item in TORN))
# The items of a commit that are visible first, upwards and downwards: the idempotency record is the last of them.
SHOWN = [1, 2, 3, 4, -1, -2, -3, -4]
SHOWN_TWINS = of("Apollo", *(f"{route}=k^{item},{route}=k^{item}" for route in WRITES for item in SHOWN))
SHOWN_MATCHING = of("Apollo", *(f"{route}=k!^{item},{route}=k!^{item}" for route in MATCHING for item in SHOWN))
SHOWN_PAIRS = of("Apollo", *(f"{one}^{item},{other}" for one in WRITES for item in SHOWN for other in WRITES))
SHOWN_UNCHANGED = of("Apollo", *(f"{one}^{item},{same}" for one in WRITES for item in SHOWN for same in SAME))
# Leaving needs no permission, nor do credentials of one's own.
FREE = ["V1RemoveMember", "RemoveTeamMember", "V1CreateCredential", "V1UpdateCredential", "V1DeleteCredential"]
PROMOTED = of("Apollo", *(f"{route}@viewer,V1UpdateMember" for route in WRITES if route not in FREE))


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
