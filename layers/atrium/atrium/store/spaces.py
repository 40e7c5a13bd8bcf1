"""The spaces of a tenant, and their members.

A membership of a space is two rows that change in one transaction, the one in the space and the principal's map of
roles; the space counts its owners. Each change of a space or its members is one of the space, which tells its event.

What two of them racing may leave. A change of a membership holds the id and the version of its row, so the second to
commit decides again on what the first one did: on another role, or on no member. Two that add a principal meet on its
row in the space. Of two that give a principal its hundredth space, in two spaces, the second finds its map too large.
Two owners who demote or remove each other meet on the number of owners, which a change by no admin leaves above zero:
one of them stays. A principal that is suspended in between is not added, since it has to be active at the commit. A
change of the space's own fields holds the version that it read. One that dies half-way left nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from atrium import keys
from atrium.errors import Code, Conflict, Duplicate, NotFound, Unfit
from atrium.ids import new_id
from atrium.keys import Key
from atrium.models import Page, Space, SpaceMember, Who, moment_of
from atrium.permissions import Role
from atrium.store.access import Access, acts_as_admin, is_admin, leaves, space_access, tenant_access
from atrium.store.change import differing, permit
from atrium.store.engine.table import Item, Range, Rows, starting_with
from atrium.store.engine.work import Work
from atrium.store.ledger import Root, count, counted, tell
from atrium.store.members import AS_SEEN, require_grantable, require_touchable
from atrium.store.people import Named
from atrium.store.rows import member_row, space_row, to_space, to_space_member

# In how many spaces a principal may have a role: its own row, which each of its requests reads, holds all of them.
MAX_SPACES = 100

# META of a space that is not deleted.
_STANDS = "attribute_not_exists(#deleted_at)"


class OpenedSpace(NamedTuple):
    """A space as a request has read it, its caller's access, and the ranges that were read with it."""

    space: Space
    root: Root
    access: Access
    rows: Sequence[Rows]


def open_space(work: Work, space: str, *also: Key, ranges: Sequence[Range] = ()) -> OpenedSpace:
    """Reads a space, the items under `also` and the ranges, in one round trip. Raises NotFound."""
    tenant = work.caller.tenant
    key = keys.space(tenant, space)
    rows = work.read(key, *also, ranges=ranges)
    meta = work.item(key)
    if meta is None:
        raise NotFound("Space not found.", Code.SPACE_NOT_FOUND)
    work.not_before(moment_of(meta["last_events"][-1]))
    root = Root(key, space=space, last_events=meta["last_events"])
    return OpenedSpace(to_space(tenant, meta), root, space_access(work, space), rows)


def read_space(work: Work, space: str, *also: Key, ranges: Sequence[Range] = ()) -> OpenedSpace:
    """Opens a space for a caller that may read it. Raises NotFound and Forbidden."""
    opened = open_space(work, space, *also, ranges=ranges)
    opened.access.require("project:read")
    return opened


class Spaces:
    """The spaces of a tenant, as the caller of one request may see and change them."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._tenant = work.caller.tenant

    @property
    def caller(self) -> str:
        """The id of the caller, who owns what it makes unless it says otherwise."""
        return self._work.caller.principal

    def list(self, *, limit: int, after: str | None) -> Page[Space]:
        """The spaces in which the caller has a role, and for an admin all of the tenant, by id; of them those to which
        its credential is narrowed. Two round trips: which, and what they are. A page may be short."""
        (listed,) = self._work.read(ranges=[starting_with(keys.tenant(self._tenant).pk, keys.SPACE, after, limit)])
        narrowed = self._work.caller.narrowed
        if is_admin(self._work) and (narrowed is None or narrowed.spaces is None):
            ids, goes_on = [row["id"] for row in listed], listed.more
        else:
            own = narrowed.spaces if narrowed and narrowed.spaces is not None else self._work.me["spaces"]
            left = sorted(id for id in own if id > (after or ""))
            ids, goes_on = left[:limit], len(left) > limit
        shown = [id for id in ids if space_access(self._work, id).allows("project:read")]
        wanted = [keys.space(self._tenant, id) for id in shown]
        if wanted:
            self._work.read(*wanted)
        rows = [row for row in map(self._work.item, wanted) if row is not None]
        return Page(tuple(to_space(self._tenant, row) for row in rows), ids[-1] if goes_on else None)

    def get(self, space: str) -> Space:
        """Raises NotFound and Forbidden."""
        return read_space(self._work, space).space

    def create(self, *, name: str, description: str, owner: str | None) -> Space:
        """A new space, and its `owner`, None for none. Raises Forbidden, VersionRefused, Invalid for an unknown
        principal, Conflict for one that is suspended or has too many spaces."""
        id = new_id()
        named = Named(self._work, Who(owner), lambda principal: keys.space_member(self._tenant, id, principal))
        self._work.read(*named.first)
        permit(self._work, tenant_access(self._work), ["space:create"], lambda: (None, None), reads="space:create")
        now = self._work.now
        space = Space(id, self._tenant, name, description, created_at=now, updated_at=now, version=1)
        root = Root(keys.space(self._tenant, id), space=id)
        tell(self._work, root, "space.created", space.resource())
        if owner is not None:
            person, _ = named.found("owner")
            _join(self._work, root, _new_member(space, owner, Role.OWNER, now), person)
        self._work.put(root.key, space_row(space) | counted(self._work, root.key))
        self._work.put(keys.tenant_space(self._tenant, id), {"id": id})
        self._work.put(keys.owners(self._tenant, id), {"count": 0 if owner is None else 1})
        return space

    def update(self, space: str, changes: Mapping[str, Any]) -> Space:
        """Changes the `name` or the `description`. Raises NotFound, Forbidden, VersionRefused."""
        found, root, access, _ = open_space(self._work, space)
        permit(self._work, access, ["space:manage"], lambda: (None, found.version))
        changes = differing(found, changes)
        self._work.check(root.key, f"{_STANDS} AND #version = :seen_version", seen_version=found.version)
        if not changes:
            return found
        changed = replace(found, **changes, updated_at=self._work.now, version=found.version + 1)
        tell(self._work, root, "space.updated", changed.resource(), changes)
        count(self._work, root.key, **changes, updated_at=changed.updated_at, version=changed.version)
        return changed


class SpaceMembers:
    """The members of spaces, as the caller of one request may see and change them."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._tenant = work.caller.tenant

    def list(self, space: str, *, limit: int, after: str | None) -> Page[SpaceMember]:
        """By principal. Raises NotFound and Forbidden."""
        wanted = starting_with(keys.space(self._tenant, space).pk, keys.ROLE, after, limit)
        (rows,) = read_space(self._work, space, ranges=[wanted]).rows
        shown = [to_space_member(self._tenant, space, row) for row in rows]
        return Page(tuple(shown), shown[-1].principal if rows.more else None)

    def get(self, space: str, principal: str) -> SpaceMember:
        """Raises NotFound and Forbidden."""
        key = self._key(space, principal)
        return self._member(read_space(self._work, space, key).space, key)

    def add(self, space: str, who: Who, role: Role | None) -> SpaceMember:
        """Raises NotFound, Forbidden, VersionRefused, Invalid for an unknown principal or role, Duplicate for one that
        is a member, Conflict for one that is suspended or has too many spaces."""
        named = Named(self._work, who, lambda principal: self._key(space, principal))
        found, root, access, _ = open_space(self._work, space, *named.first)
        granted = permit(self._work, access, ["space:manage"], lambda: (_grantable(access, role), None))
        person, key = named.found()
        if self._work.item(key) is not None:
            raise Duplicate("The principal is a member of the space already.", Code.ALREADY_MEMBER)
        member = _new_member(found, person["id"], granted, self._work.now)
        _join(self._work, root, member, person)
        if granted is Role.OWNER:
            self._one_owner_more(space)
        self._count(root)
        return member

    def set_role(self, space: str, principal: str, role: Role | None) -> SpaceMember:
        """Raises NotFound, Forbidden, VersionRefused, Invalid for an unknown role, Conflict for demoting the last
        owner."""
        key = self._key(space, principal)
        found, root, access, _ = open_space(self._work, space, key, keys.owners(self._tenant, space))

        def judge() -> tuple[tuple[Role, SpaceMember], str]:
            granted, member = _grantable(access, role), self._touched(found, access, key)
            return (granted, member), member.tag

        granted, member = permit(self._work, access, ["space:manage"], judge)
        seen = {"seen_id": member.membership, "seen_version": member.version}
        if granted is member.role:
            self._work.check(root.key, _STANDS)
            self._work.check(key, AS_SEEN, **seen)
            return member
        if member.role is Role.OWNER:
            self._one_owner_less(space, key)
        elif granted is Role.OWNER:
            self._one_owner_more(space)
        changed = replace(member, role=granted, updated_at=self._work.now, version=member.version + 1)
        tell(self._work, root, "space_member.role_changed", changed.resource(), ["role_id"])
        self._work.update(
            key,
            "SET #role = :role, #updated_at = :now, #version = :version",
            AS_SEEN,
            role=granted.key,
            now=changed.updated_at,
            version=changed.version,
            **seen,
        )
        self._work.update(keys.principal(self._tenant, principal), f"SET #spaces.#{space} = :role", role=granted.key)
        self._count(root)
        return changed

    def remove(self, space: str, principal: str) -> None:
        """Each member may leave, but the last owner, and not with a credential that is narrowed to some permissions.
        Raises NotFound, Forbidden, VersionRefused, Conflict for the last owner."""
        key = self._key(space, principal)
        found, root, access, _ = open_space(self._work, space, key, keys.owners(self._tenant, space))
        is_leaving = leaves(self._work, access, principal, "space:manage")

        def judge() -> tuple[SpaceMember, str]:
            member = self._touched(found, access, key)
            return member, member.tag

        member = permit(self._work, access, [] if is_leaving else ["space:manage"], judge)
        if member.role is Role.OWNER:
            self._one_owner_less(space, key)
        tell(self._work, root, "space_member.removed", member.resource())
        self._work.delete(key, AS_SEEN, seen_id=member.membership, seen_version=member.version)
        self._work.update(keys.principal(self._tenant, principal), f"REMOVE #spaces.#{space}")
        self._count(root)

    def _key(self, space: str, principal: str) -> Key:
        return keys.space_member(self._tenant, space, principal)

    def _member(self, space: Space, key: Key) -> SpaceMember:
        row = self._work.item(key)
        if row is None:
            raise NotFound("Member not found.", Code.MEMBER_NOT_FOUND)
        self._work.not_before(row["updated_at"])
        return to_space_member(self._tenant, space.id, row)

    def _touched(self, space: Space, access: Access, key: Key) -> SpaceMember:
        """A member whom the caller may change. Raises NotFound and Forbidden."""
        member = self._member(space, key)
        require_touchable(access, member)
        return member

    def _count(self, root: Root) -> None:
        self._work.check(root.key, _STANDS)
        count(self._work, root.key)

    def _one_owner_more(self, space: str) -> None:
        self._work.update(keys.owners(self._tenant, space), "ADD #count :more", more=1)

    def _one_owner_less(self, space: str, key: Key) -> None:
        """The member under `key` is an owner no more. Raises Conflict for the last one, unless an admin acts."""
        owners = keys.owners(self._tenant, space)
        number = self._work.item(owners)
        if number is not None and number["count"] > 1:
            self._work.update(owners, "ADD #count :less", "#count > :last", less=-1, last=1)
        elif acts_as_admin(self._work, space):
            self._work.update(owners, "ADD #count :less", less=-1)
        else:
            # The request that left one owner may have taken the caller's own role.
            self._work.require_settled(owners, key, self._work.my_key)
            raise Conflict("This is the last owner of the space. Make another member an owner first.", Code.LAST_OWNER)


def _new_member(space: Space, principal: str, role: Role, now: str) -> SpaceMember:
    return SpaceMember(
        membership=new_id(),
        tenant=space.tenant,
        principal=principal,
        role=role,
        created_at=now,
        updated_at=now,
        version=1,
        space=space.id,
    )


def _join(work: Work, root: Root, member: SpaceMember, person: Item) -> None:
    """Writes a new membership, and its event. `person` is the principal's own row. Raises Conflict for one that has too
    many spaces."""
    if len(person["spaces"]) >= MAX_SPACES:
        raise Conflict(f"A principal may have a role in at most {MAX_SPACES} spaces.", Code.TOO_MANY_SPACES)
    tell(work, root, "space_member.added", member.resource())
    work.put(keys.space_member(member.tenant, member.space, member.principal), member_row(member))
    work.update(
        keys.principal(member.tenant, member.principal),
        f"SET #spaces.#{member.space} = :role",
        "size(#spaces) < :most_spaces",
        role=member.role.key,
        most_spaces=MAX_SPACES,
    )


def _grantable(access: Access, role: Role | None) -> Role:
    """The role, if the caller may grant it. Raises Forbidden and Invalid."""
    if role is None:
        raise Unfit("role", "unknown_role", "No such role")
    require_grantable(access, role)
    return role
