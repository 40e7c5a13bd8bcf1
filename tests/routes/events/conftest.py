"""The clock of the tests of events."""

from types import SimpleNamespace

import pytest

from atrium.store.engine import work
from tests.support.feed import Now


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Now:
    made = Now()
    monkeypatch.setattr(work, "datetime", SimpleNamespace(now=lambda _: made.moment))
    return made
