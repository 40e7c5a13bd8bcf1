"""Fixtures of the check of the table."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from atrium.keys import Key
from atrium.store.engine.table import Item
from atrium.store.fsck import check as checks
from local.functions import call
from local.template import ROOT, Template
from tests.support.client import World
from tests.support.place import Place, furnish
from tests.support.rows import rows_here


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens the wait before the second look, since most tests change nothing during a check."""
    monkeypatch.setattr(checks, "MOMENT", 0.01)


@pytest.fixture(scope="module")
def furnished(shared: World, template: Template) -> Place:
    provisioning = json.loads((ROOT / "events/automation/provision.json").read_text())
    call(template.functions["Provision"], provisioning)
    call(template.functions["SweepDeleted"], {})
    return furnish(shared, rows_here())


@pytest.fixture(scope="module")
def undamaged(furnished: Place) -> Mapping[Key, Item]:
    """The rows of the place, by key."""
    return {Key(row["pk"], row["sk"]): row for row in furnished.rows.all()}


@pytest.fixture
def place(furnished: Place, undamaged: Mapping[Key, Item]) -> Iterator[Place]:
    """One place for all tests of a module; its rows are restored after each test."""
    yield furnished
    furnished.rows.restore(undamaged)


@pytest.fixture
def check(template: Template) -> Callable[..., Any]:
    """Invokes Fsck with an event."""
    return lambda **event: call(template.functions["Fsck"], event)
