"""Spaces, principals with their roles in spaces, and the directory, in which people are found by e-mail and name.

A deleted space or principal is in no list. It answers for its place in the purge queue alone: the purge takes its rows.
"""

from collections.abc import Callable, Generator, Mapping

from atrium import keys
from atrium.ids import derived_id
from atrium.keys import Key
from atrium.models import ACTIVE
from atrium.permissions import Role, TenantRole
from atrium.store.deletion import Deletion
from atrium.store.engine.table import Item, Range, starting_with
from atrium.store.fsck.damage import Damage, Found, Needs, Rule, differs, is_right, malformed, read, unqueued
from atrium.store.fsck.events import told
from atrium.store.rows import listed_principal_row, person_row, to_person, to_principal
from atrium.text import address, findable

# Read far past what a tenant and a space have, so that a number is judged by all that it counts.
_MANY = 100_000


def tenant(key: Key, tenant: str) -> Rule:
    (row,) = yield from read(key)
    if row is None:
        return []
    if not is_right("tenant", row, id=tenant):
        return malformed("tenant", key, row)
    found = yield from told(key, tenant, row)
    listed = starting_with(keys.directory(tenant), keys.PRINCIPAL, None, _MANY, megabytes=10)
    if wrong := (yield from _miscounted(key, row, keys.admins(tenant), listed, is_admin)):
        found.append(Damage("admins_miscounted", key, *wrong))
    return found


def is_admin(listed: Item) -> bool:
    """Whether a principal of the list is one of those of whom a tenant always has one."""
    wanted = {"kind": "user", "tenant_role": TenantRole.ADMIN.key, "status": ACTIVE}
    return not differs(listed, wanted)


def space(key: Key, overdue: str, tenant: str, space: str) -> Rule:
    """The list of the tenant has the space, and the number of its owners is right."""
    listed_key = keys.tenant_space(tenant, space)
    row, listed = yield from read(key, listed_key)
    if row is None:
        return []
    if not is_right("space", row, id=space):
        return malformed("space", key, row)
    found = yield from told(key, tenant, row)
    if "deleted_at" in row:
        return found + (
            yield from unqueued(key, row, Deletion("space", tenant, row["deleted_at"], space=space), overdue)
        )
    wanted = {"id": space}
    if listed is None or differs(listed, wanted):
        found.append(Damage("space_unlisted", key, {key: row, listed_key: listed}, {listed_key: wanted}))
    members = starting_with(key.pk, keys.ROLE, None, _MANY, megabytes=10)
    if wrong := (yield from _miscounted(key, row, keys.owners(tenant, space), members, _is_owner)):
        found.append(Damage("owners_miscounted", key, *wrong))
    return found


def _is_owner(member: Item) -> bool:
    return member.get("role") == Role.OWNER.key


Rows = Mapping[Key, Item | None]


def _miscounted(
    key: Key, root: Item, number_key: Key, range: Range, counts: Callable[[Item], bool]
) -> Generator[Needs, Found, tuple[Rows, Rows] | None]:
    """The rows seen and wanted where the row under `number_key` has not the number of those of the range that count."""
    found = yield [range, number_key]
    number, rows = found.rows[number_key], found.ranges[range]
    wanted = {"count": sum(map(counts, rows))}
    if rows.more or (number is not None and not differs(number, wanted)):
        return None
    return {key: root, number_key: number}, {number_key: {**(number or {}), **wanted}}


def tenant_space(key: Key, tenant: str, space: str) -> Rule:
    alone = yield from _alone(key, keys.space(tenant, space), is_listed=True)
    return [Damage("listed_space_of_nothing", key, alone, {key: None})] if alone else []


def admins(key: Key, tenant: str) -> Rule:
    alone = yield from _alone(key, keys.tenant(tenant))
    return [Damage("number_of_nothing", key, alone, {key: None})] if alone else []


def owners(key: Key, tenant: str, space: str) -> Rule:
    alone = yield from _alone(key, keys.space(tenant, space))
    return [Damage("number_of_nothing", key, alone, {key: None})] if alone else []


def listed_principal(key: Key, tenant: str, principal: str) -> Rule:
    alone = yield from _alone(key, keys.principal(tenant, principal), is_listed=True)
    return [Damage("listed_principal_of_nobody", key, alone, {key: None})] if alone else []


def _alone(key: Key, other_key: Key, *, is_listed: bool = False) -> Generator[Needs, Found, Rows | None]:
    """The rows seen where one is there without the other, which answers for what is in it. A row of a list must not be
    there with a deleted one either."""
    row, other = yield from read(key, other_key)
    is_there = other is not None and not (is_listed and "deleted_at" in other)
    return {key: row, other_key: other} if row is not None and not is_there else None


def space_member(key: Key, tenant: str, space: str, principal: str) -> Rule:
    person_key = keys.principal(tenant, principal)
    row, person = yield from read(key, person_key)
    if row is None or (person is not None and not is_right("principal", person, id=principal)):
        return []
    seen = {key: row, person_key: person}
    if person is None or space not in person["spaces"]:
        return [Damage("space_member_of_nobody", key, seen, {key: None})]
    wanted = space_member_row(person, space)
    if not is_right("space_member", row, principal=principal):
        return [Damage("space_member_differs", key, seen, {key: {**row, **wanted}})]
    if row["role"] == wanted["role"]:
        return []
    # With a version of its own, since clients may have seen this one with the other role.
    wanted = {**row, "role": wanted["role"], "version": row["version"] + 1}
    return [Damage("space_member_differs", key, seen, {key: wanted})]


def space_member_row(person: Item, space: str) -> Item:
    """The row of a membership of which the principal alone is left. Its id is the same whenever the check looks, and
    another one after the principal's next event."""
    return {
        "id": derived_id(space, person["id"], *person["last_events"]),
        "principal": person["id"],
        "role": person["spaces"][space],
        "created_at": person["created_at"],
        "updated_at": person["created_at"],
        "version": 1,
    }


def principal(key: Key, overdue: str, tenant: str, principal: str) -> Rule:
    (person,) = yield from read(key)
    if person is None:
        return []
    if not is_right("principal", person, id=principal):
        return malformed("principal", key, person)
    found = yield from told(key, tenant, person)
    if "deleted_at" in person:
        deletion = Deletion("principal", tenant, person["deleted_at"], principal=principal)
        return found + (yield from unqueued(key, person, deletion, overdue))
    found += yield from _listed(key, tenant, person)
    return found + (yield from _roles(key, tenant, person)) + (yield from _findable(key, tenant, person))


def _listed(key: Key, tenant: str, person: Item) -> Rule:
    """The list of the tenant has the principal."""
    listed_key, wanted = keys.listed_principal(tenant, person["id"]), listed_principal_row(to_principal(tenant, person))
    (row,) = yield from read(listed_key)
    if row is not None and not differs(row, wanted):
        return []
    return [Damage("principal_unlisted", key, {key: person, listed_key: row}, {listed_key: {**(row or {}), **wanted}})]


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
    """The directory has the principal under its names: each text by which its name is found; its e-mail address, and
    its name in another system, if it has them."""
    entry = directory_row(person)
    name_keys = [keys.name(tenant, words, person["id"]) for words in findable(person["name"])]
    named = yield from read(*name_keys)
    missing = [name_key for name_key, there in zip(name_keys, named, strict=True) if there is None]
    found = [Damage("directory_row_missing", key, {key: person, at: None}, {at: entry}) for at in missing]
    if email := email_of(person):
        lost, shared = yield from _unique(key, tenant, person, keys.email(tenant, email), entry, email_of)
        found += lost + ([Damage("email_shared", key, shared)] if shared else [])
    if external := external_of(person):
        mine = {"principal": person["id"]}
        lost, shared = yield from _unique(key, tenant, person, keys.external(tenant, external), mine, external_of)
        found += lost + ([Damage("external_id_shared", key, shared)] if shared else [])
    return found


def _unique(
    key: Key, tenant: str, person: Item, at: Key, entry: Item, named: Callable[[Item], str | None]
) -> Generator[Needs, Found, tuple[list[Damage], Rows | None]]:
    """A name that one principal has alone leads to it: the damage where it does not, and the rows seen where another
    principal has the name, too."""
    (row,) = yield from read(at)
    if row is None:
        return [Damage("directory_row_missing", key, {key: person, at: None}, {at: entry})], None
    if row.get("principal") == person["id"] or not isinstance(row.get("principal"), str):
        return [], None
    other_key = keys.principal(tenant, row["principal"])
    (other,) = yield from read(other_key)
    is_there = other is not None and "deleted_at" not in other and is_right("principal", other)
    if other is not None and is_there and named(other) == named(person):
        return [], {key: person, at: row, other_key: other}
    return [Damage("directory_row_missing", key, {key: person, at: row}, {at: {**row, **entry}})], None


def email_of(person: Item) -> str | None:
    """The e-mail address under which a principal is found, None if it has none."""
    return address(person["email"]) if "email" in person else None


def external_of(person: Item) -> str | None:
    external: str | None = person.get("external_id")
    return external


def email(key: Key, tenant: str, email: str) -> Rule:
    (row,) = yield from read(key)
    if row is None:
        return []
    principal = row.get("principal")
    if not isinstance(principal, str):
        return [Damage("directory_row_of_nobody", key, {key: row}, {key: None})]
    return (yield from _entered(key, row, tenant, principal, lambda person: email_of(person) == email))


def _is_external(person: Item, external_id: str) -> bool:
    return "deleted_at" not in person and external_of(person) == external_id


def external(key: Key, tenant: str, external_id: str) -> Rule:
    (row,) = yield from read(key)
    if row is None:
        return []
    person_key = keys.principal(tenant, str(row.get("principal")))
    (person,) = yield from read(person_key)
    if person is not None and (not is_right("principal", person) or _is_external(person, external_id)):
        return []
    return [Damage("directory_row_of_nobody", key, {key: row, person_key: person}, {key: None})]


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
    if person is None or "deleted_at" in person or not belongs(person):
        return [Damage("directory_row_of_nobody", key, seen, {key: None})]
    entry = directory_row(person)
    return [Damage("directory_row_differs", key, seen, {key: {**row, **entry}})] if differs(row, entry) else []


def directory_row(person: Item) -> Item:
    return person_row(to_person(person))
