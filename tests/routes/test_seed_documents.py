"""The samples of both API documents, on both engines."""

import pytest

from tests.support import seed_documents as seeds
from tests.support.client import World

globals().update({name: test for name, test in vars(seeds).items() if name.startswith("test_")})


@pytest.fixture(params=["DynamoDB Local", "moto"])
def world(request: pytest.FixtureRequest) -> World:
    made: World = request.getfixturevalue("world_on_moto" if request.param == "moto" else "world_on_engine")
    return made
