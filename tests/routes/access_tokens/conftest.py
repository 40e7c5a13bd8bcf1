"""An issuer, an API that accepts its tokens, and the documents of an issuer on this machine."""

from collections.abc import Iterator

import pytest

from atrium import issuer_keys
from local.issuer import AUDIENCE, ISSUER, Issuer
from local.template import Template
from tests.support.client import World
from tests.support.clock import NET
from tests.support.tokens import Clock, Published, serving
from tests.support.trace import Trace
from tests.support.world import inline


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="session")
def taking(issuer: Issuer) -> Template:
    """The template with the issuer as a parameter."""
    return Template(JwtIssuer=ISSUER, JwtAudience=AUDIENCE, JwtJwks=issuer.jwks)


@pytest.fixture(scope="module")
def shared(taking: Template, engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Trace]]:
    trace = Trace()
    with inline(taking, engine, tmp_path_factory.mktemp("tokens"), trace.invoke) as made:
        yield made, trace


@pytest.fixture
def world(shared: tuple[World, Trace]) -> World:
    return shared[0]


@pytest.fixture
def published(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    """The issuer's documents. Fetches have a generous timeout unless a test sets one."""
    monkeypatch.setattr(issuer_keys, "FETCH_TIMEOUT", NET)
    with serving(Published(issuer)) as made:
        yield made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)
