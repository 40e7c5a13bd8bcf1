"""Tenants: provisioning, one transaction a request.

Two requests with one token commit one record, so the second finds the first one's answer. Two requests that want one
e-mail address, or one credential, meet on its row: the second is refused. A request that dies half-way left nothing.
"""

from collections import Counter
from typing import NamedTuple

from atrium import keys
from atrium.errors import Detail, Invalid, NotFound
from atrium.ids import derived_id, from_uuid
from atrium.keys import Key
from atrium.models import ACTIVE, Caller, Principal, Space, SpaceMember, Tenant
from atrium.permissions import Role, role_named, tenant_role_named
from atrium.provisioning import DEFAULT_SPACE, NewPrincipal, Provisioning
from atrium.store.directory import enter, is_admin
from atrium.store.engine.table import Item
from atrium.store.engine.work import Work
from atrium.store.keyring import Issued, Keyring
from atrium.store.ledger import Root, count, counted, last_events, tell
from atrium.store.rows import member_row, principal_row, space_row, tenant_row
from atrium.text import address, findable

# What one transaction of DynamoDB may have.
MAX_ITEMS = 100


def tenant_of(request: Provisioning) -> str:
    """The tenant that a request is about. A new tenant's id follows from the request token, so that the same request
    finds what it made before.
    """
    return request.tenant_id or derived_id("tenant", request.request_token)


class MadePrincipal(NamedTuple):
    """A new principal with its credentials."""

    id: str
    name: str
    email: str
    credentials: list[Issued]


class Provisioned(NamedTuple):
    """A tenant with its default space and everything that was made in it. `spaces` holds ids by name."""

    tenant: str
    spaces: dict[str, str]
    principals: list[MadePrincipal]


class Tenants:
    """Provisions one tenant. After `provision`, `keyring` holds the secrets made here.

    Every id follows from the request token and the thing's place in the request.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._tenant = work.caller.tenant
        self._token = ""
        # The rows of new roots, and the spaces that were there and get members.
        self._new: dict[Key, Item] = {}
        self._present: set[Key] = set()
        # How many admins and owners there are more, by the row of their number.
        self._more: Counter[Key] = Counter()
        self.keyring = Keyring(work)

    def provision(self, request: Provisioning) -> Provisioned:
        """Raises Invalid and NotFound."""
        self._token = request.request_token
        self._new, self._present, self._more = {}, set(), Counter()
        self.keyring.secrets = {}
        _require_size(request)
        _require_distinct(request)
        default_key = keys.space(self._tenant, self._tenant)
        self._work.read(default_key, *self._claimed(request))
        if (request.tenant is None) == (request.tenant_id is None):
            raise Invalid(Detail(("tenant",), "Give either tenant or tenant_id", "value_error"))
        if request.tenant_id and self._work.item(default_key) is None:
            raise NotFound("Tenant not found.")
        spaces = {DEFAULT_SPACE: self._tenant}
        if request.tenant:
            self._add_tenant(request.tenant.name)
            self._add_space(self._tenant, request.tenant.name)
        for number, space in enumerate(request.spaces):
            if space.name in spaces:
                raise Invalid(Detail(("spaces", number, "name"), "Stands twice in the request", "value_error"))
            spaces[space.name] = self._id("space", number)
            self._add_space(spaces[space.name], space.name)
        first = next((number for number, each in enumerate(request.principals) if each.kind == "user"), None)
        made = [
            self._add_principal(number, principal, spaces, is_first=bool(request.tenant) and number == first)
            for number, principal in enumerate(request.principals)
        ]
        self._count_events()
        self._count_people()
        return Provisioned(self._tenant, spaces, made)

    def _claimed(self, request: Provisioning) -> list[Key]:
        """The rows that must not be there yet, or must be."""
        claimed = []
        for principal in request.principals:
            claimed.append(keys.email(self._tenant, address(principal.email)))
            claimed += [keys.credential(given.digest) for given in principal.credentials if given.digest]
            claimed += [keys.space(self._tenant, id) for id in map(_uuid_or_none, principal.roles) if id]
        return claimed

    def _add_tenant(self, name: str) -> None:
        root = Root(keys.tenant(self._tenant))
        made = Tenant(self._tenant, name, created_at=self._work.now, updated_at=self._work.now, version=1)
        self._new[root.key] = tenant_row(made)
        tell(self._work, root, "tenant.created", made.resource())
        self._more[keys.admins(self._tenant)] = 0

    def _add_space(self, space: str, name: str) -> None:
        now = self._work.now
        made = Space(space, self._tenant, name, description="", created_at=now, updated_at=now, version=1)
        self._new[keys.space(self._tenant, space)] = space_row(made)
        self._work.put(keys.tenant_space(self._tenant, space), {"id": space})
        self._more[keys.owners(self._tenant, space)] = 0
        tell(self._work, self._space_root(space), "space.created", made.resource())

    def _count_events(self) -> None:
        """Writes the new roots with their events, and the events of the spaces that were there."""
        for root, row in self._new.items():
            self._work.put(root, row | counted(self._work, root))
        for root in self._present:
            count(self._work, root)

    def _count_people(self) -> None:
        """Writes how many admins the tenant has, and how many owners each space."""
        for key, more in self._more.items():
            if Key(key.pk, keys.META) in self._new:
                self._work.put(key, {"count": more})
            elif more:
                self._work.update(key, "ADD #count :more", more=more)

    def _add_principal(
        self, number: int, new: NewPrincipal, spaces: dict[str, str], *, is_first: bool
    ) -> MadePrincipal:
        id = self._id("principal", number)
        if self._work.item(keys.email(self._tenant, address(new.email))) is not None:
            raise Invalid(Detail(("principals", number, "email"), "Belongs to a principal already", "value_error"))
        roles = {self._space(number, space, spaces): role for space, role in new.roles.items()}
        made = Principal(
            id,
            self._tenant,
            new.kind,
            new.name,
            new.email,
            external_id=None,
            tenant_role=tenant_role_named(new.tenant_role or ("admin" if is_first else "member")),
            status=ACTIVE,
            spaces={space: role_named(role) for space, role in roles.items()},
            created_at=self._work.now,
            updated_at=self._work.now,
            version=1,
        )
        self._new[enter(self._work, made).key] = principal_row(made)
        self._more[keys.admins(self._tenant)] += is_admin(made)
        for space, role in made.spaces.items():
            joined = self._joined(space, id, role)
            self._work.put(keys.space_member(self._tenant, space, id), member_row(joined))
            tell(self._work, self._space_root(space), "space_member.added", joined.resource())
            if role is Role.OWNER:
                self._more[keys.owners(self._tenant, space)] += 1
        caller = Caller(self._tenant, id, new.kind)
        place = ("principals", number, "credentials")
        credentials = [
            self.keyring.add(self._id("credential", number, position), caller, given, place)
            for position, given in enumerate(new.credentials)
        ]
        return MadePrincipal(id, new.name, new.email, credentials)

    def _space_root(self, space: str) -> Root:
        key = keys.space(self._tenant, space)
        return Root(key, space=space, last_events=last_events(self._work.item(key)))

    def _joined(self, space: str, principal: str, role: Role) -> SpaceMember:
        now = self._work.now
        return SpaceMember(
            membership=derived_id(principal, space),
            tenant=self._tenant,
            principal=principal,
            role=role,
            created_at=now,
            updated_at=now,
            version=1,
            space=space,
        )

    def _id(self, kind: str, *place: int) -> str:
        return derived_id(self._tenant, self._token, kind, *map(str, place))

    def _space(self, number: int, space: str, spaces: dict[str, str]) -> str:
        """The id of a space that a role names; an existing one must still be there at the commit."""
        if space in spaces:
            return spaces[space]
        id = _uuid_or_none(space)
        if id is None or self._work.item(keys.space(self._tenant, id)) is None:
            raise Invalid(Detail(("principals", number, "roles"), "Names a space that is not there", "value_error"))
        self._present.add(keys.space(self._tenant, id))
        return id


def _require_size(request: Provisioning) -> None:
    """Everything that is made is one item and one for its event. A tenant has one more for the number of its admins, a
    space two, for the number of its owners and in the list; a principal has two more, for its e-mail and in the list,
    and one for each place its name is found by, a credential one more. An existing space is one, and one more where it
    may get an owner; so are an existing tenant's admins."""
    items = 1 + (7 if request.tenant else 1) + 4 * len(request.spaces)
    items += 2 * len({space for principal in request.principals for space in principal.roles if _uuid_or_none(space)})
    for principal in request.principals:
        items += 4 + len(findable(principal.name)) + 2 * len(principal.roles) + 3 * len(principal.credentials)
    if items > MAX_ITEMS:
        raise Invalid(
            Detail(
                ("principals",),
                f"Needs {items} items of at most {MAX_ITEMS}. Send the principals in several requests",
                "too_long",
            )
        )


def _require_distinct(request: Provisioning) -> None:
    emails = [address(principal.email) for principal in request.principals]
    digests = [given.digest for principal in request.principals for given in principal.credentials if given.digest]
    for values, name in ((emails, "e-mail"), (digests, "sha256 or identity")):
        if len(set(values)) < len(values):
            raise Invalid(Detail(("principals",), f"The same {name} stands twice in the request", "value_error"))


def _uuid_or_none(text: str) -> str | None:
    try:
        return from_uuid(text)
    except ValueError:
        return None
