"""A mill for the webhooks of a world, and receivers."""

from collections.abc import Iterator

import pytest

from local.template import Template
from tests.support.client import World
from tests.support.mill import Mill
from tests.support.receiver import Receiver, receiver


@pytest.fixture
def mill(world: World, template: Template, monkeypatch: pytest.MonkeyPatch) -> Mill:
    return Mill(world, template, monkeypatch)


@pytest.fixture
def one() -> Iterator[Receiver]:
    with receiver() as made:
        yield made
