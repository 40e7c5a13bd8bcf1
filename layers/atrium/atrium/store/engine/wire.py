"""Items and keys in DynamoDB's own form, and back.

A plain item is a dict of str, int, bool, None, list and dict; on the wire each value is wrapped in its type.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from atrium.keys import Key


def expressions(values: Mapping[str, Any], **parts: str | None) -> dict[str, Any]:
    """Expressions whose attribute names are written `#name` and whose values are written `:name`."""
    given = {kind: text for kind, text in parts.items() if text}
    names = {f"#{name}": name for text in given.values() for name in re.findall(r"#(\w+)", text)}
    wired = {f":{name}": wire(value) for name, value in values.items()}
    return {
        **given,
        **({"ExpressionAttributeNames": names} if names else {}),
        **({"ExpressionAttributeValues": wired} if wired else {}),
    }


def wire_item(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: wire(value) for name, value in item.items()}


def wire(value: Any) -> dict[str, Any]:
    """A plain value in DynamoDB's form. boto3's serialiser takes twice the time and wants Decimals."""
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case None:
            return {"NULL": True}
        case dict():
            return {"M": wire_item(value)}
        case list() | tuple():
            return {"L": [wire(item) for item in value]}
    raise TypeError(f"{type(value).__name__} is not kept in the table")


def plain_item(wired: dict[str, Any]) -> dict[str, Any]:
    # Most values are strings: a call for each would take a third of the time.
    return {name: value["S"] if "S" in value else _plain(value) for name, value in wired.items()}


def _plain(wired: dict[str, Any]) -> Any:
    ((kind, value),) = wired.items()
    match kind:
        case "N":
            # Atrium writes integers only, but the check must be able to read and report other numbers.
            return int(value) if value.lstrip("-").isdigit() else Decimal(value)
        case "NULL":
            return None
        case "M":
            return plain_item(value)
        case "L":
            return [_plain(item) for item in value]
        case "B":
            # The client gives the text of the wire, which must not be mistaken for a string.
            return value.encode() if isinstance(value, str) else value
        case _:
            return value


def wire_key(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def plain_key(wired: dict[str, Any]) -> Key:
    return Key(wired["pk"]["S"], wired["sk"]["S"])
