"""An operator for the tests of credentials."""

import pytest

from local.template import Template
from tests.support.client import World
from tests.support.operator import Operator


@pytest.fixture
def operator(world: World, template: Template) -> Operator:
    return Operator(world, template)
