"""The clock of the tests of events."""

import pytest

from tests.support.feed import Now, standing


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Now:
    return standing(monkeypatch)
