"""A mill for the webhooks of a world, and receivers."""

from collections.abc import Iterator

import pytest

from local.template import Template
from tests.support.client import World
from tests.support.mill import Mill
from tests.support.receiver import Receiver, receiver


@pytest.fixture
def mill(world: World, template: Template) -> Iterator[Mill]:
    # A patch of its own ends before the world does, whose clock it would else put back after the world's end.
    with pytest.MonkeyPatch.context() as patch:
        yield Mill(world, template, patch)


@pytest.fixture
def one() -> Iterator[Receiver]:
    with receiver() as made:
        yield made
