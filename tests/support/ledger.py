"""The rows of the ledger, and the numbers that they have."""

from atrium import keys
from atrium.store.engine.table import Item
from atrium.store.ledger import root_of
from tests.support.client import World, flat_id
from tests.support.feed import tenant_of
from tests.support.rows import rows_here


def ledger(world: World, *tenants: str) -> list[Item]:
    """The rows of the events of these tenants, or of all, by id."""
    of = [pk for name in tenants or ("acme", "globex") for pk in keys.ledger_shards(tenant_of(world, name))]
    return sorted((row for row in rows_here().all() if row["pk"] in of), key=lambda row: row["sk"])


def numbers(world: World, *tenants: str) -> dict[keys.Key, list[int]]:
    """The numbers of each root's events, in the order of their ids."""
    found: dict[keys.Key, list[int]] = {}
    for row in ledger(world, *tenants):
        assert "unsent" not in row, row
        found.setdefault(root_of(keys.tenant_of(row["pk"]), row), []).append(row["sequence"])
    return found


def of_project(world: World, path: str) -> list[Item]:
    id = flat_id(path.rpartition("/")[2])
    return [row for row in ledger(world) if row.get("project") == id]
