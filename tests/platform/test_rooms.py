"""Imports between packages run one way; keys and their order are defined in one place."""

import re
from pathlib import Path

import pytest

from atrium import keys
from local.template import ROOT

PACKAGE = ROOT / "layers/atrium/atrium"
ABOVE_STORE = ("atrium.api", "atrium.automation")


def imports(path: Path) -> set[str]:
    return set(re.findall(r"^(?:from|import) (atrium[\w.]*)", path.read_text(), re.MULTILINE))


def test_imports_run_one_way() -> None:
    """functions -> api | automation -> store -> the rest, and neither of api and automation imports the other. No
    module below api knows HTTP, and none outside the store knows DynamoDB."""
    for path in PACKAGE.rglob("*.py"):
        below_api = path.relative_to(PACKAGE).parts[0] not in ("api", "automation")
        below_store = below_api and "store" not in path.relative_to(PACKAGE).parts
        text = path.read_text()
        beside = {"api": "atrium.automation", "automation": "atrium.api"}.get(path.relative_to(PACKAGE).parts[0])
        assert not (beside and any(name.startswith(beside) for name in imports(path))), path
        assert not (below_api and any(name.startswith(ABOVE_STORE) for name in imports(path))), path
        assert not (below_store and any(name.startswith("atrium.store") for name in imports(path))), path
        assert not (below_api and re.search(r"^(from|import) (http|aws_lambda_powertools)", text, re.MULTILINE)), path
        in_store = below_api and not below_store
        assert in_store or not re.search(r"^(from|import) boto", text, re.MULTILINE), path
    for path in (ROOT / "functions").rglob("*.py"):
        assert all(name.startswith(ABOVE_STORE) for name in imports(path)), path


def test_only_keys_spells_a_key_or_the_end_of_a_range() -> None:
    prefixes = r"""["'](T#|KEY#|PURGE#|ROLE#|CREDENTIAL#|PROJECT#|TASK#|TASKNOTE#|EMAIL#|NAME#)"""
    ends = r"""["'](!|~|\\x7f|\\U0010ffff)["']"""
    for path in PACKAGE.rglob("*.py"):
        found = re.search(f"{prefixes}|{ends}", path.read_text())
        assert path == PACKAGE / "keys.py" or not found, f"{path}: {found}"


@pytest.mark.parametrize("kind", ["risk", "document", "meta", "phase", "deliverable"])
def test_a_kind_inside_the_range_of_others_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=f"{kind.upper()}# would be read with"):
        keys.require_places((*keys.RECORDS, kind))


def test_a_kind_outside_of_every_range_has_a_place() -> None:
    kinds = (*keys.RECORDS, "assumption", "goal", "workshop")
    keys.require_places(kinds)
    pk = keys.project("t" * 24, "p" * 24).pk
    spans = [keys.whole_project(pk), keys.members_and_tasks(pk), keys.report(pk)]
    rows = [keys.records(kind) + "f" * 24 for kind in kinds]
    read = [[row for row in rows if span.first <= row <= span.last] for span in spans]
    tasks, datasets, experiments, decisions, *_ = rows
    assert read == [[tasks], [tasks], [datasets, experiments, decisions]]


def test_notes_are_in_no_range_but_their_tasks() -> None:
    pk = keys.project("t" * 24, "p" * 24).pk
    note = keys.notes("f" * 24) + "f" * 24
    spans = [keys.whole_project(pk), keys.members_and_tasks(pk), keys.report(pk), keys.beginning(pk, keys.TASK)]
    assert not any(span.first <= note <= span.last for span in spans)
    assert keys.beginning(pk, keys.notes("f" * 24)).last > note > keys.beginning(pk, keys.notes("f" * 24)).first
