"""The repair of damage: one transaction that holds every row on which the damage rests as it was seen."""

from collections.abc import Iterator
from typing import Any

from atrium.store.engine.table import Item, Write
from atrium.store.engine.wire import expressions, wire_item, wire_key
from atrium.store.fsck.damage import Damage


def writes(damage: Damage) -> Iterator[Write]:
    """The writes of the transaction: conditions on the rows as they were seen, and the changes to the wanted ones."""
    for key, row in damage.seen.items():
        wanted = damage.wanted.get(key, row)
        changes = {name: value for name, value in (wanted or {}).items() if (row or {}).get(name) != value}
        when, values = _as_seen(row)
        action, update = "ConditionCheck", None
        request: dict[str, Any] = {"Key": wire_key(key)}
        if row is not None and wanted is None:
            action = "Delete"
        elif row is None and wanted is not None:
            action, request = "Put", {"Item": wire_item({"pk": key.pk, "sk": key.sk, **wanted})}
        elif changes:
            action, update = "Update", "SET " + ", ".join(f"#{name} = :new_{name}" for name in changes)
            values |= {f"new_{name}": value for name, value in changes.items()}
        yield Write(action, request | expressions(values, UpdateExpression=update, ConditionExpression=when))


def _as_seen(row: Item | None) -> tuple[str, Item]:
    """The condition that a row is as it was seen, and the values of the condition.

    Every change of a project, or below it, raises META's `sequence`. A repair of other fields does not, so one repair
    of a project does not stop the next.
    """
    if row is None:
        return "attribute_not_exists(#pk)", {}
    if isinstance(row.get("sequence"), int):
        return "#sequence = :sequence", {"sequence": row["sequence"]}
    values = {
        name: value
        for name, value in row.items()
        if _is_comparable(value) and name.isidentifier() and name not in ("pk", "sk")
    }
    return " AND ".join(["attribute_exists(#pk)", *(f"#{name} = :{name}" for name in values)]), values


def _is_comparable(value: Any) -> bool:
    """Whether a value is written as it was read. Sets are read as lists and fractions as Decimals, so they are not."""
    return isinstance(value, str | int) or (isinstance(value, dict) and all(map(_is_comparable, value.values())))
