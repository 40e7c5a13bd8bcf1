"""Runs of the check in parts: cut off by time, by segment, by tenant."""

import json
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from atrium.automation import checking
from atrium.errors import Unavailable
from atrium.keys import Key
from atrium.store.engine.table import Table, table
from atrium.store.fsck import check as checks
from atrium.store.fsck.check import MAX_DETAILS, Check
from tests.support.client import flat_id, v1_id
from tests.support.damage import CASES, DAMAGE
from tests.support.place import GHOST, Place
from tests.support.world import full


def test_a_table_of_many_pages_is_checked_to_its_end(place: Place, check: Callable[..., Any]) -> None:
    unknown = [Key(f"T#{place.tenant}#Z#{number}", "META") for number in range(MAX_DETAILS + 10)]
    place.rows.put_all({key: {"ballast": "x" * 20_000} for key in unknown})
    summary = check()
    assert (summary["complete"], summary["damage"]) == (True, {"unknown_key": len(unknown)})
    assert len(summary["details"]) == MAX_DETAILS
    assert sum(summary["rows"].values()) == len(place.rows.all())


def in_parts(check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, rows: int, **event: Any) -> list[Any]:
    """The summaries of consecutive runs with time for this many rows each, and a few more where a run may not stop."""
    found: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(checks, "MAX_BATCH", min(rows, 100))
        while not found or found[-1]["after"] is not None:
            patch.setattr(checking, "deadline", lambda _: partial(next, iter([False]), True))
            found.append(check(**event, **({"after": found[-1]["after"]} if found else {})))
            assert len(found) < 1_000
    return found


def together(summaries: list[Any], name: str) -> dict[str, int]:
    return dict(sum((Counter(summary[name]) for summary in summaries), Counter()))


# In `make test` some at once, apart from damage that hides other damage: to META, to the stored answer, to an event, to
# a row of the purge queue.
HIDING = (
    *("project_malformed", "replay_malformed", "event_malformed", "principal_malformed", "space_malformed"),
    "deletion_not_queued, long ago",
)
# A missing event is no other damage.
SOME = [
    *(
        [case for case in CASES[::9] if (case[0] in HIDING) == hides and case[0] != "event_missing"]
        for hides in (False, True)
    ),
    [case for case in CASES if case[0] == "event_missing"][:1],
]


@pytest.mark.parametrize(
    ("cases", "sizes"),
    [([case], (1, 7, 50)) for case in CASES] if full(0, 1) else [*zip(SOME, [(7,), (50,), (1,)], strict=True)],
)
def test_runs_continuing_at_the_last_ones_end_find_the_same_as_one_run(
    place: Place,
    check: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    cases: list[tuple[str, str]],
    sizes: tuple[int, ...],
) -> None:
    for kind, way in cases:
        DAMAGE[kind][1][way](place)
    whole = check()
    assert whole["damage"] == dict(sorted(Counter(kind.partition(",")[0] for kind, _ in cases).items()))
    for rows in sizes:
        parts = in_parts(check, monkeypatch, rows)
        assert len(parts) > sum(whole["rows"].values()) / rows / 4
        assert [part["complete"] for part in parts] == [False] * (len(parts) - 1) + [True]
        for name in ("rows", "damage", "left"):
            assert together(parts, name) == whole[name]
        found = [detail for part in parts for detail in part["details"]]
        # The order of those in one batch is by the number of looks that they take.
        assert sorted(found, key=repr) == sorted(whole["details"], key=repr)
        text = json.dumps([part["after"] for part in parts]).replace("OWNERS", "").casefold()
        assert not re.search(r"@|acme\b|key#|owner|viewer|contributor", text)


def test_segments_together_find_the_same_as_one_run(
    place: Place, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("orphan", "list_row_missing", "members_miscounted", "purge_overdue", "directory_row_missing"):
        next(iter(DAMAGE[kind][1].values()))(place)
    whole = check()
    for rows in (100, 5):
        parts = [part for i in range(4) for part in in_parts(check, monkeypatch, rows, segment=i, segments=4)]
        assert sum(part["complete"] for part in parts) == 4
        assert sum(bool(part["rows"]) for part in parts) > 1
        for name in ("rows", "damage", "left"):
            assert together(parts, name) == whole[name]


def test_a_check_of_one_tenant_checks_its_rows_and_no_others(
    place: Place, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    place.rows.delete(place.listed)
    other = flat_id(place.world.dev["tenants"]["globex"]["tenant_id"])
    (foreign,) = (
        Key(r["pk"], r["sk"])
        for r in place.rows.all()
        if r["pk"].startswith(f"T#{other}#S#") and "name" in r and r["sk"].startswith("PROJECT#")
    )
    place.rows.delete(foreign)
    for tenant in (place.tenant, other):
        own = [
            row
            for row in place.rows.all()
            if row["pk"].startswith(f"T#{tenant}#") or row["sk"].startswith(f"{tenant}#") or row.get("tenant") == tenant
        ]
        for parts in ([check(tenant_id=v1_id(tenant))], in_parts(check, monkeypatch, 3, tenant_id=v1_id(tenant))):
            assert together(parts, "damage") == {"list_row_missing": 1}
            assert sum(together(parts, "rows").values()) == len(own)
            assert {"credential", "principal", "project"} <= together(parts, "rows").keys()


def test_a_check_of_one_tenant_continues_after_pages_without_its_rows(
    place: Place, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Three pages, at least.
    place.rows.put_all({Key(f"T#{GHOST}#Z", f"{number}"): {"ballast": "x" * 390_000} for number in range(10)})
    tenant = v1_id(flat_id(place.world.dev["tenants"]["globex"]["tenant_id"]))
    whole = check(tenant_id=tenant)
    parts = in_parts(check, monkeypatch, 10_000, tenant_id=tenant)
    assert len(parts) > 1, "no batch was full, so a run stopped after a page without a row of the tenant"
    assert (together(parts, "rows"), parts[-1]["complete"]) == (whole["rows"], True)


def test_an_unavailable_table_leaves_the_check_incomplete(
    place: Place, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise Unavailable

    monkeypatch.setattr(Table, "get_all", refuse)
    summary = check()
    assert (summary["complete"], summary["clean"]) == (False, False)


def test_a_check_out_of_time_is_reported_as_incomplete(place: Place) -> None:
    summary = Check(table(), until=lambda: True).run()
    assert (summary["complete"], summary["clean"]) == (False, False)
