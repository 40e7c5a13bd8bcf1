"""The check finds each kind of damage once, and repairs what follows from other rows."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import boto3
import pytest

from atrium import keys
from atrium.keys import Key
from atrium.store.engine.table import Item
from atrium.store.engine.wire import wire_key
from local.template import ROOT
from tests.support.client import RECORDS, v1_id
from tests.support.damage import CASES, DAMAGE, ROUNDS, announced, replay
from tests.support.place import GHOST, Place, last, picture
from tests.support.rows import clean, spelled
from tests.support.world import full


def spoken(cases: list[tuple[str, str]]) -> str:
    """The name of a test of these cases."""
    (kind, way), *more = cases
    return f"{kind}-{way} and {len(more)} more" if more else f"{kind}-{way}"


@pytest.fixture(scope="module")
def pictured(furnished: Place) -> list[tuple[int, Any]]:
    """The API's answers about the place without damage."""
    return picture(furnished.world, furnished.path)


def test_a_table_without_damage_is_clean_and_every_row_is_checked(place: Place, check: Callable[..., Any]) -> None:
    summary = check(**json.loads((ROOT / "events/automation/fsck.json").read_text()))
    assert clean(summary), summary
    assert summary["unsettled"] == 0
    assert sum(summary["rows"].values()) == len(place.rows.all())
    assert set(summary["rows"]) == set(keys._PATTERNS)
    assert (summary["rows"]["project"], summary["rows"]["purge"]) == (5, 5)


def test_rows_without_the_bare_attribute_are_no_damage(
    place: Place, pictured: list[tuple[int, Any]], check: Callable[..., Any]
) -> None:
    for row in place.rows.all():
        if "bare" in row:
            place.rows.change(Key(row["pk"], row["sk"]), bare=None)
    assert picture(place.world, place.path) == pictured
    for row in place.world("GET", place.world.projects()).body["data"]:
        assert place.world("PATCH", place.world.projects() + f"/{row['id']}", {"name": "Renamed"}).status == 200
    summary = check()
    assert clean(summary), summary


def test_a_check_writes_nothing(place: Place, check: Callable[..., Any]) -> None:
    place.rows.delete(place.listed)
    before = place.rows.all()
    assert check()["left"] == {"list_row_missing": 1}
    assert place.rows.all() == before


@pytest.mark.parametrize("cases", [[case] for case in CASES] if full(0, 1) else ROUNDS, ids=spoken)
def test_damage_is_found_once_and_repaired(
    place: Place,
    undamaged: Mapping[Key, Item],
    pictured: list[tuple[int, Any]],
    check: Callable[..., Any],
    cases: list[tuple[str, str]],
) -> None:
    """One by one under `make prove`; otherwise all of a round at once."""
    for kind, way in cases:
        DAMAGE[kind][1][way](place)
    damaged = place.rows.all()
    effects = [(kind.partition(",")[0], DAMAGE[kind][0]) for kind, _ in cases]
    named = Counter(kind for kind, _ in effects)
    (repairable,) = {done is not None for _, done in effects}
    for repair in (False, True):
        summary = check(repair=repair)
        repaired, left = (named, {}) if repairable and repair else ({}, named)
        assert (summary["damage"], summary["repaired"], summary["left"]) == (named, repaired, left), summary
        assert (summary["complete"], summary["clean"]) == (True, not left)
        details = Counter((detail["kind"], detail["repairable"], detail.get("done")) for detail in summary["details"])
        assert details == Counter((kind, repairable, done if repair else None) for kind, done in effects)
        if not (repairable and repair):
            assert spelled(place.rows.all()) == spelled(damaged)
    if not repairable:
        return
    after = place.rows.all()
    # Most repairs restore the rows as they were. Those are clean, and the API answers from nothing else.
    if spelled(after) != spelled([*undamaged.values()]) or full(0, 1):
        assert clean(check())
        assert picture(place.world, place.path) == pictured
        sequences = {key.pk: row["sequence"] for key, row in undamaged.items() if "sequence" in row}
        left = {row["pk"]: row["sequence"] for row in after if "sequence" in row}
        assert left.items() <= sequences.items(), "a repair is no event"


def test_every_kind_of_damage_is_tested() -> None:
    code = "".join(path.read_text() for path in (ROOT / "layers/atrium/atrium/store/fsck").glob("*.py"))
    named = set(re.findall(r'Damage\(\s*"(\w+)"', code))
    malformed = {f"{kind}_malformed" for kind in re.findall(r'malformed\("(\w+)"', code)}
    assert named | malformed == {kind.partition(",")[0] for kind in DAMAGE} | {"sequence_twice", "sequence_missing"}


def test_much_damage_at_once_is_repaired_in_one_run(
    place: Place, pictured: list[tuple[int, Any]], check: Callable[..., Any]
) -> None:
    """Including the members, records and list row of a project without its META row."""
    doomed = place.world.new_project("Doomed")
    place.world.new_member(doomed, "viewer", "viewer")
    for kind, body in RECORDS.items():
        assert place.world("POST", f"{doomed}/{kind}", body).status == 201
    place.rows.delete(keys.project(place.tenant, last(doomed)))
    for kind in (
        "list_row_differs",
        "manager_not_a_member",
        "members_miscounted",
        "joined_row_differs",
        "purge_overdue",
    ):
        next(iter(DAMAGE[kind][1].values()))(place)
    summary = check(repair=True)
    assert summary["left"] == {}, summary["details"]
    assert summary["damage"] == {
        "joined_row_differs": 1,
        "list_row_differs": 1,
        "list_row_of_nothing": 1,
        "manager_not_a_member": 1,
        "members_miscounted": 1,
        "orphan": 6,
        "purge_overdue": 1,
    }
    assert clean(check())
    assert picture(place.world, place.path) == pictured
    assert not [row for row in place.rows.all() if last(doomed) in row["pk"] + row["sk"]]


def test_a_check_completes_over_attributes_of_any_type(place: Place, check: Callable[..., Any]) -> None:
    """With numbers, sets and bytes, which Atrium never writes, in every attribute of a row."""
    client = boto3.client("dynamodb")
    values: list[Any] = [
        {"N": "1.5"},
        {"N": "1E+40"},
        {"SS": ["a"]},
        {"B": b"a"},
        {"L": [{"NS": ["1"]}]},
        {"NULL": True},
    ]
    targets = [place.listed, place.member("outsider"), place.joined("outsider"), place.person("outsider"), place.meta]
    targets += [place.email("owner@acme.example"), place.any("PURGE#"), place.any("KEY#"), replay(place)]
    for number, key in enumerate(targets):
        row = place.rows.get(key) or {}
        odd = {name: values[(number + position) % len(values)] for position, name in enumerate(row)}
        item = {**odd, "odd name": {"S": "x"}, **wire_key(key)}
        client.put_item(TableName=os.environ["TABLE_NAME"], Item=item)
    assert check(repair=True)["complete"]
    assert check(repair=True)["complete"]


def test_the_summary_holds_no_address_no_name_and_no_hash(place: Place, check: Callable[..., Any]) -> None:
    kinds = ["directory_row_differs", "directory_row_of_nobody", "unknown_key", "credential_of_nobody", "email_shared"]
    for kind in kinds:
        for seed in DAMAGE[kind][1].values():
            seed(place)
    place.rows.put(Key("KEY#sesame", "META"), {})
    hashes = [row["pk"].partition("#")[2] for row in place.rows.all() if row["pk"].startswith("KEY#")]
    summary = check()
    assert set(summary["damage"]) == set(kinds)
    text = json.dumps(summary, ensure_ascii=False).casefold()
    for secret in ("@", "acme", "mallory", "twin", "sesame", *hashes):
        assert secret not in text
    (detail,) = [detail for detail in summary["details"] if detail["kind"] == "credential_of_nobody"]
    (row,) = [row for row in place.rows.all() if row["pk"].startswith("KEY#") and row.get("principal") == GHOST]
    assert (detail["key"], detail["credential_id"]) == (["KEY#…", "META"], v1_id(row["id"]))


def test_the_summary_names_the_change_of_which_a_part_is_missing(place: Place, check: Callable[..., Any]) -> None:
    announced("decision.created", "ghost", place)
    assert check()["details"] == [
        {
            "kind": "change_in_part",
            "key": [*place.meta],
            "repairable": False,
            "event": "decision.created",
            "row": f"DECISION#{GHOST}",
        }
    ]
