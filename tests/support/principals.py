"""Principals as tests manage them: their paths and their events."""

from collections.abc import Callable
from typing import Any

from atrium.ids import from_uuid
from tests.support.client import World

Narrow = Callable[..., None]
Enrol = Callable[..., str]


def tenant(world: World) -> str:
    return from_uuid(world.dev["tenants"]["acme"]["tenant_id"])


def path(world: World, name: str) -> str:
    return f"/v1/principals/{world.uuid(name)}"


def events(world: World, principal: str) -> list[Any]:
    """Those of a principal, the latest first."""
    found = world("GET", "/v1/events?type=principal.*&limit=100").body["data"]
    return [event for event in found if event["principal_id"] == principal]
