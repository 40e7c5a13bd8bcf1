"""Spaces, principals with their roles in spaces, and the directory, in which people are found by e-mail and name."""

from collections.abc import Callable

from atrium import keys
from atrium.keys import Key
from atrium.store.engine.table import Item
from atrium.store.fsck.damage import Damage, Rule, differs, is_right, malformed, read
from atrium.store.fsck.events import told
from atrium.text import address, findable


def space(key: Key, tenant: str, space: str) -> Rule:
    """The form of the row; no other row repeats it."""
    (row,) = yield from read(key)
    if row is None:
        return []
    return (yield from told(key, tenant, row)) if is_right("space", row, id=space) else malformed("space", key, row)


def tenant(key: Key, tenant: str) -> Rule:
    (row,) = yield from read(key)
    if row is None:
        return []
    return (yield from told(key, tenant, row)) if is_right("tenant", row, id=tenant) else malformed("tenant", key, row)


def space_member(key: Key, tenant: str, space: str, principal: str) -> Rule:
    person_key = keys.principal(tenant, principal)
    row, person = yield from read(key, person_key)
    if row is None or (person is not None and not is_right("principal", person, id=principal)):
        return []
    seen = {key: row, person_key: person}
    if person is None or space not in person["spaces"]:
        return [Damage("space_member_of_nobody", key, seen, {key: None})]
    wanted = space_member_row(person, space) | {"created_at": row.get("created_at", person["created_at"])}
    return [Damage("space_member_differs", key, seen, {key: {**row, **wanted}})] if differs(row, wanted) else []


def space_member_row(person: Item, space: str) -> Item:
    return {"principal": person["id"], "role": person["spaces"][space], "created_at": person["created_at"]}


def principal(key: Key, tenant: str, principal: str) -> Rule:
    (person,) = yield from read(key)
    if person is None:
        return []
    if not is_right("principal", person, id=principal):
        return malformed("principal", key, person)
    found = yield from told(key, tenant, person)
    return found + (yield from _roles(key, tenant, person)) + (yield from _findable(key, tenant, person))


def _roles(key: Key, tenant: str, person: Item) -> Rule:
    """Each space in the principal's map of roles exists and lists the principal."""
    spaces = {keys.space(tenant, id): keys.space_member(tenant, id, person["id"]) for id in person["spaces"]}
    there = yield from read(*spaces)
    rows = yield from read(*spaces.values())
    found: list[Damage] = []
    for (space_key, member_key), space, row in zip(spaces.items(), there, rows, strict=True):
        if space is None:
            found.append(Damage("role_in_no_space", key, {key: person, space_key: None}))
        elif row is None:
            wanted = space_member_row(person, space["id"])
            found.append(Damage("space_member_missing", key, {key: person, member_key: None}, {member_key: wanted}))
    return found


def _findable(key: Key, tenant: str, person: Item) -> Rule:
    """The directory has the principal under its e-mail address and under each text by which its name is found."""
    email_key = keys.email(tenant, address(person["email"]))
    name_keys = [keys.name(tenant, words, person["id"]) for words in findable(person["name"])]
    row, *named = yield from read(email_key, *name_keys)
    entry = directory_row(person)
    missing = [name_key for name_key, there in zip(name_keys, named, strict=True) if there is None]
    found = [Damage("directory_row_missing", key, {key: person, at: None}, {at: entry}) for at in missing]
    if row is None:
        return [*found, Damage("directory_row_missing", key, {key: person, email_key: None}, {email_key: entry})]
    if row.get("principal") == person["id"] or not isinstance(row.get("principal"), str):
        return found
    other_key = keys.principal(tenant, row["principal"])
    (other,) = yield from read(other_key)
    if other is not None and is_right("principal", other) and address(other["email"]) == address(person["email"]):
        return [*found, Damage("email_shared", key, {key: person, email_key: row, other_key: other})]
    seen = {key: person, email_key: row}
    return [*found, Damage("directory_row_missing", key, seen, {email_key: {**row, **entry}})]


def email(key: Key, tenant: str, email: str) -> Rule:
    (row,) = yield from read(key)
    if row is None:
        return []
    principal = row.get("principal")
    if not isinstance(principal, str):
        return [Damage("directory_row_of_nobody", key, {key: row}, {key: None})]
    return (yield from _entered(key, row, tenant, principal, lambda person: address(person["email"]) == email))


def name(key: Key, tenant: str, words: str, principal: str) -> Rule:
    (row,) = yield from read(key)
    if row is None:
        return []
    return (yield from _entered(key, row, tenant, principal, lambda person: words in findable(person["name"])))


def _entered(key: Key, row: Item, tenant: str, principal: str, belongs: Callable[[Item], bool]) -> Rule:
    """A row of the directory belongs to a principal with this e-mail address or name, and repeats both."""
    person_key = keys.principal(tenant, principal)
    (person,) = yield from read(person_key)
    seen = {key: row, person_key: person}
    if person is not None and not is_right("principal", person, id=principal):
        return []
    if person is None or not belongs(person):
        return [Damage("directory_row_of_nobody", key, seen, {key: None})]
    entry = directory_row(person)
    return [Damage("directory_row_differs", key, seen, {key: {**row, **entry}})] if differs(row, entry) else []


def directory_row(person: Item) -> Item:
    return {"principal": person["id"], "name": person["name"], "email": person["email"]}
