"""The directory: the principals of a tenant, as its admins list, make and change them, and as each sees itself.

A principal is its own row, a row in the list of its tenant, and one for each way in which it is found: its e-mail
address, its external id, and each place from which its name is searched. `found_by` spells them all. Each change writes
all that follow from it in one transaction, with the principal's event.

What two of them racing leave. Two changes of one principal come one after the other, since each holds the `version`
that it read. Two principals that want one e-mail address, or one external id, meet on its row, which is only put where
there is none: the second is refused. A name that is given up is free in the transaction that gives it up. The number of
active admins is changed with them, and never below one: of two admins who demote or suspend each other, the second to
commit finds the number too low, or its own right gone, decides again, and is refused. One that dies half-way left
nothing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from atrium import keys
from atrium.errors import Code, Conflict, NotFound, Unfit
from atrium.ids import ID, is_id, new_id
from atrium.keys import Key
from atrium.models import ACTIVE, Joined, Page, Person, Principal, PrincipalKind, PrincipalStatus, moment_of
from atrium.permissions import TenantRole, role_named
from atrium.store.access import Access, beyond_credential, project_access, tenant_access
from atrium.store.change import permit
from atrium.store.engine.table import Item, Range, Rows, starting_with
from atrium.store.engine.work import Work
from atrium.store.ledger import Root, counted, principal_root, tell
from atrium.store.rows import listed_principal_row, person_row, principal_row, to_principal
from atrium.text import address, findable, searched


@dataclass(frozen=True)
class Sought:
    """Which principals: None is each. `text` is the beginning of an e-mail address, or of a word of a name."""

    kind: PrincipalKind | None = None
    status: PrincipalStatus | None = None
    external_id: str | None = None
    text: str | None = None

    def takes(self, kind: PrincipalKind, status: PrincipalStatus) -> bool:
        return self.kind in (None, kind) and self.status in (None, status)


class _Place(NamedTuple):
    """Up to where a search has looked: the ways to find a principal come one after the other, each in the order of its
    texts."""

    way: str
    text: str

    @property
    def position(self) -> str:
        return f"{_WAYS.index(self.way):02x}{self.text.encode().hex()}"

    def is_within(self, beginnings: Mapping[str, str]) -> bool:
        """Whether it is one of the places of a search."""
        beginning = beginnings[self.way]
        is_key = len(f"{self.way}{self.text}".encode()) < _MAX_KEY
        return is_key and beginning <= self.text < keys.matching("", beginning).last

    @classmethod
    def of(cls, position: str) -> "_Place | None":
        """None for what is no place."""
        try:
            return cls(_WAYS[int(position[:2], 16)], bytes.fromhex(position[2:]).decode())
        except (IndexError, ValueError):
            return None


_WAYS = (keys.EMAIL, keys.NAME)

# The positions in a list of principals, as hex digits: an id, or a place of a search.
PLACES = re.compile(f"{ID}|0[01]([0-9a-f]{{2}})+")

# The bytes of a sort key.
_MAX_KEY = 1_024

# How much of an address is searched for. In UTF-8 the end of its range is a sort key, too.
_MAX_BEGINNING = 200


class Directory:
    """The principals of one tenant, as the caller of one request may see and change them."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._tenant = work.caller.tenant

    def list(self, sought: Sought, *, limit: int, after: str | None) -> Page[Principal]:
        """A page of principals by id; those that a text finds by what it finds them with, e-mail addresses before
        names, and each of them once. A page may be short. Two round trips: which ones, and what they are; as much among
        ten thousand principals as among ten. Raises Forbidden.
        """
        if sought.external_id is not None:
            return self._with_external_id(sought, sought.external_id, after)
        if sought.text is not None:
            ids, end = self._found(sought.text, limit, after)
        else:
            ids, end = self._listed(sought, limit, after)
        return Page(tuple(each for each in self._principals(ids) if sought.takes(each.kind, each.status)), end)

    def get(self, principal: str) -> Principal:
        """Raises Forbidden to whom may not manage principals, whether there is such a one or not; and NotFound."""
        self._work.read(self._key(principal))
        self._require_own_or_admin(principal)
        return self._principal(principal)

    def projects(self, principal: str, *, limit: int, after: str | None) -> Page[Joined]:
        """The projects that a principal is a member of, by age; of its own, those that its credential reaches. A page
        may be short. Two round trips: which projects, and what they are. Raises what `get` raises."""
        key = self._key(principal)
        (rows,) = self._work.read(key, ranges=[starting_with(key.pk, keys.PROJECT, after, limit)])
        sees_all = self._require_own_or_admin(principal)
        self._principal(principal)
        listed = [keys.space_project(self._tenant, row["space"], row["id"]) for row in rows]
        mine = [keys.member(self._tenant, row["id"], principal) for row in rows]
        if rows:
            self._work.read(*listed, *mine)
        shown = []
        for project, member in zip(map(self._work.item, listed), map(self._work.item, mine), strict=True):
            # One that is deleted, and not yet purged, or was left since the first reading.
            if project is None or member is None:
                continue
            access = project_access(self._work, project["space"], project["id"], member)
            if sees_all or access.allows("project:read"):
                is_manager = project["manager"] == principal
                role = role_named(member["role"])
                shown.append(Joined(project["id"], project["space"], project["name"], role, is_manager))
        return Page(tuple(shown), rows[-1]["id"] if rows.more else None)

    def create(
        self, *, kind: PrincipalKind, name: str, email: str | None, external_id: str | None, tenant_role: TenantRole
    ) -> Principal:
        """Raises Forbidden, VersionRefused, Unfit, and Conflict for a name that another principal has."""
        self._work.read(*self._claimed(email, external_id))
        access = tenant_access(self._work)
        permit(
            self._work,
            access,
            ["principal:manage"],
            lambda: (None, None),
            reads="principal:manage",
        )
        self._require_whole_credential(tenant_role is TenantRole.ADMIN)
        self._hold_caller()
        now = self._work.now
        made = Principal(
            id=new_id(),
            tenant=self._tenant,
            kind=kind,
            name=name,
            email=email,
            external_id=external_id,
            tenant_role=tenant_role,
            status=ACTIVE,
            spaces={},
            created_at=now,
            updated_at=now,
            version=1,
        )
        _require_fit(made, tenant_role)
        self._require_free(made, None)
        root = enter(self._work, made)
        self._work.put(root.key, principal_row(made) | counted(self._work, root.key))
        if is_admin(made):
            self._work.update(keys.admins(self._tenant), "ADD #count :more", more=1)
        return made

    def update(self, principal: str, changes: Mapping[str, Any]) -> Principal:
        """Changes some of `name`, `email`, `external_id`, `tenant_role` and `status`. Its own name each principal may
        change; all else is for admins, and what is an admin only for a credential that has all that an admin may.

        Raises Forbidden, NotFound, VersionRefused, Unfit, and Conflict: for a name that another principal has, and for
        the last active admin.
        """
        key, admins_key = self._key(principal), keys.admins(self._tenant)
        claimed = self._claimed(changes.get("email"), changes.get("external_id"))
        self._work.read(key, admins_key, *claimed)
        access = tenant_access(self._work)
        is_own = principal == self._work.caller.principal and changes.keys() <= {"name"}
        found = permit(
            self._work,
            access,
            [] if is_own else ["principal:manage"],
            lambda: self._changeable(principal, access, changes, is_own=is_own),
            reads=None if is_own else "principal:manage",
        )
        self._hold_caller()
        changes = {name: value for name, value in changes.items() if value != getattr(found, name)}
        self._work.check(key, "#version = :seen_version", seen_version=found.version)
        if not changes:
            return found
        changed = replace(found, **changes, updated_at=self._work.now, version=found.version + 1)
        _require_fit(changed, changes.get("tenant_role"))
        self._require_free(changed, found)
        count_admins(self._work, found, changed)
        self._write(key, found, changed, changes)
        return changed

    # ------------------------------------------------------------ reading

    def _listed(self, sought: Sought, limit: int, after: str | None) -> tuple[Sequence[str], str | None]:
        if after is not None and not is_id(after):
            after, limit = None, 0
        listed = starting_with(keys.directory(self._tenant), keys.PRINCIPAL, after, limit)
        rows = self._asked([listed])[0]
        return [row["id"] for row in rows if sought.takes(row["kind"], row["status"])], (
            rows[-1]["id"] if rows and rows.more else None
        )

    def _found(self, text: str, limit: int, after: str | None) -> tuple[Sequence[str], str | None]:
        """The principals that a text finds, each where it is found first."""
        beginnings = _beginnings(text)
        place = _Place.of(after) if after is not None else None
        ways = [way for way in _WAYS if place is None or _WAYS.index(way) >= _WAYS.index(place.way)]
        if after is not None and (place is None or not place.is_within(beginnings)):
            # No page of this list has told it.
            ways = []
        ranges = [self._behind(way, beginnings[way], place, limit) for way in ways]
        found = list(zip(ways, self._asked(ranges), strict=True))
        if len(found) == len(_WAYS) and found[0][1].more:
            found.pop()
        rows = [(way, row) for way, rows in found for row in rows]
        more = len(rows) > limit or any(rows.more for _, rows in found)
        ids = [row["principal"] for way, row in rows[:limit] if _is_found_first(way, row, beginnings)]
        if not more or not rows:
            return ids, None
        way, last = rows[:limit][-1]
        return ids, _Place(way, last["sk"].removeprefix(way)).position

    def _behind(self, way: str, beginning: str, place: _Place | None, limit: int) -> Range:
        pk, first, last = keys.matching(keys.directory(self._tenant), way + beginning)
        if place is not None and place.way == way:
            first = f"{way}{place.text}\x00"
        return Range(pk, first, last, limit)

    def _asked(self, ranges: Sequence[Range], *wanted: Key) -> Sequence[Rows]:
        """The rows, for a caller that may manage principals. Raises Forbidden."""
        found = self._work.read(*wanted, ranges=ranges)
        tenant_access(self._work).require("principal:manage")
        return found

    def _with_external_id(self, sought: Sought, external_id: str, after: str | None) -> Page[Principal]:
        key = keys.external(self._tenant, external_id)
        self._asked([], key)
        row = self._work.item(key)
        found = self._principals([row["principal"]] if row is not None and after is None else [])
        shown = [
            each
            for each in found
            if sought.takes(each.kind, each.status) and (sought.text is None or _is_called(each, sought.text))
        ]
        return Page(tuple(shown), None)

    def _principals(self, ids: Iterable[str]) -> Sequence[Principal]:
        """Those that are there, in this order."""
        wanted = [self._key(id) for id in ids]
        if wanted:
            self._work.read(*wanted)
        return [to_principal(self._tenant, row) for row in map(self._work.item, wanted) if row is not None]

    def _principal(self, id: str) -> Principal:
        """One whose row was read. Raises NotFound."""
        row = self._work.item(self._key(id))
        if row is None:
            raise NotFound("Principal not found.", Code.PRINCIPAL_NOT_FOUND)
        self._work.not_before(max(row["updated_at"], moment_of(row["last_events"][-1])))
        return to_principal(self._tenant, row)

    def _require_own_or_admin(self, principal: str) -> bool:
        """Whether the caller may manage principals. Raises Forbidden to whom may not, unless this is the caller."""
        access = tenant_access(self._work)
        if access.allows("principal:manage"):
            return True
        if principal != self._work.caller.principal:
            access.require("principal:manage")
        return False

    # ------------------------------------------------------------ changing

    def _changeable(
        self, id: str, access: Access, changes: Mapping[str, Any], *, is_own: bool
    ) -> tuple[Principal, int]:
        """A principal of which the caller may make these changes, and its version. Raises Forbidden and NotFound."""
        found = self._principal(id)
        self._require_whole_credential(is_own or "tenant_role" in changes)
        if not is_own and not access.covers(found.tenant_role):
            raise beyond_credential()
        return found, found.version

    def _require_whole_credential(self, is_needed: bool) -> None:
        if is_needed and self._work.caller.narrowed is not None:
            raise beyond_credential()

    def _hold_caller(self) -> None:
        """Besides its right: a principal that is suspended while it asks changes no other one any more."""
        self._work.check(self._work.my_key, "#status = :acting", acting=ACTIVE)

    def _claimed(self, email: str | None, external_id: str | None) -> Sequence[Key]:
        """The rows of names that one principal has alone."""
        return ([keys.email(self._tenant, address(email))] if email is not None else []) + (
            [keys.external(self._tenant, external_id)] if external_id is not None else []
        )

    def _require_free(self, wanted: Principal, now: Principal | None) -> None:
        """Raises Conflict for a name that another principal has."""
        taken = {
            "email": ("Another principal has this e-mail address.", Code.EMAIL_TAKEN),
            "external_id": ("Another principal has this external id.", Code.EXTERNAL_ID_TAKEN),
        }
        for field, refusal in taken.items():
            value = getattr(wanted, field)
            if value is None or (now is not None and getattr(now, field) == value):
                continue
            (key,) = self._claimed(**{"email": None, "external_id": None, field: value})
            row = self._work.item(key)
            if row is not None and row["principal"] != wanted.id:
                raise Conflict(*refusal)

    def _write(self, key: Key, before: Principal, after: Principal, changes: Mapping[str, Any]) -> None:
        """Writes a principal's own row at the version that was read, the rows by which it is found, and its events: a
        suspension is one of its own, since it is what others act on."""
        root = principal_root(self._tenant, after.id, self._work.item(key))
        if fields := changes.keys() - {"status"}:
            tell(self._work, root, "principal.updated", after.resource(), fields)
        if "status" in changes:
            type = "principal.resumed" if after.status == ACTIVE else "principal.suspended"
            tell(self._work, root, type, after.resource())
        row, ids = principal_row(after), self._work.events[key]
        written = [name for name in (*changes, "updated_at", "version") if name in row]
        gone = [name for name in changes if name not in row]
        sets = ", ".join(f"#{name} = :{name}" for name in (*written, "last_events"))
        removes = f" REMOVE {', '.join(f'#{name}' for name in gone)}" if gone else ""
        values = {name: row[name] for name in written}
        self._work.update(key, f"SET {sets}{removes} ADD #sequence :told", **values, last_events=ids, told=len(ids))
        old, new = found_by(before), found_by(after)
        for at in old.keys() - new.keys():
            self._work.delete(at, when=None)
        for at, entry in new.items():
            if at not in old:
                self._work.put(at, entry)
            elif entry != old[at]:
                # Without a condition on the row itself: one that was lost is there again.
                self._work.put(at, entry, when=None)

    def _key(self, principal: str) -> Key:
        return keys.principal(self._tenant, principal)


# ---------------------------------------------------------------- what everyone who makes or deletes a principal does


def enter(work: Work, made: Principal) -> Root:
    """Writes all rows of a new principal but its own, and tells its event. Returns the root, whose row is written by
    one who knows all of its events."""
    root = principal_root(made.tenant, made.id, None)
    tell(work, root, "principal.created", made.resource())
    for key, entry in found_by(made).items():
        work.put(key, entry)
    return root


def found_by(principal: Principal) -> dict[Key, Item]:
    """The rows of the directory by which a principal is found."""
    tenant, person = principal.tenant, person_row(Person(principal.id, principal.name, principal.email))
    rows = {keys.listed_principal(tenant, principal.id): listed_principal_row(principal)}
    if principal.email is not None:
        rows[keys.email(tenant, address(principal.email))] = person
    if principal.external_id is not None:
        rows[keys.external(tenant, principal.external_id)] = {"principal": principal.id}
    return rows | {keys.name(tenant, words, principal.id): person for words in findable(principal.name)}


def is_admin(principal: Principal) -> bool:
    """Whether a principal is one of the active admins, of whom a tenant always has one: a person. An operator may make
    a service an admin, too."""
    return (principal.kind, principal.tenant_role, principal.status) == ("user", TenantRole.ADMIN, ACTIVE)


def count_admins(work: Work, before: Principal, after: Principal | None) -> None:
    """Changes the number of active admins, whose row was read, as far as a change of a principal changes it, or its
    deletion: None. Raises Conflict for the last one."""
    key, is_one = keys.admins(before.tenant), after is not None and is_admin(after)
    if is_one and not is_admin(before):
        work.update(key, "ADD #count :more", more=1)
    elif is_admin(before) and not is_one:
        number = work.item(key)
        if number is None or number["count"] <= 1:
            raise Conflict("A tenant keeps one active admin.", Code.LAST_ADMIN)
        work.update(key, "ADD #count :more", "#count > :last", more=-1, last=1)


def _require_fit(principal: Principal, given: TenantRole | None) -> None:
    """Raises Unfit for fields that do not go together; `given` is the role that it is given, None for none."""
    if principal.kind == "user" and principal.email is None:
        raise Unfit("email", "missing", "A user has an e-mail address")
    if principal.kind == "service" and given is TenantRole.ADMIN:
        raise Unfit("tenant_role", "users_only", "Only a user may be an admin")


def _is_found_first(way: str, row: Item, beginnings: Mapping[str, str]) -> bool:
    """Whether a row of the directory is the first one by which its principal is found."""
    if way == keys.EMAIL:
        return True
    if "email" in row and address(row["email"]).startswith(beginnings[keys.EMAIL]):
        return False
    words = row["sk"].removeprefix(keys.NAME).rpartition("#")[0]
    found: list[str] = [each for each in findable(row["name"]) if each.startswith(beginnings[keys.NAME])]
    return bool(found) and words == min(found)


def _beginnings(text: str) -> dict[str, str]:
    """The beginnings of what a text finds, by the way to find it."""
    return {keys.EMAIL: address(text)[:_MAX_BEGINNING], keys.NAME: searched(text)}


def _is_called(principal: Principal, text: str) -> bool:
    """Whether a text finds the principal."""
    sought = _beginnings(text)
    if principal.email is not None and address(principal.email).startswith(sought[keys.EMAIL]):
        return True
    return any(each.startswith(sought[keys.NAME]) for each in findable(principal.name))
