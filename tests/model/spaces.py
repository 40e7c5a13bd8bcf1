"""The tenant, its spaces and their members, the caller with its spaces, and the roles."""

from collections.abc import Callable
from typing import Any

from tests.model.answers import (
    DEFAULT_SPACE,
    DIGEST,
    LAST_OWNER,
    NO_SPACE,
    NOT_ADMIN,
    NOT_EMPTY,
    NOT_SPACE,
    SUSPENDED,
    TWICE_IN_SPACE,
    Expected,
    invalid,
    not_found,
    require,
)
from tests.model.fields import PERMISSIONS, ROLES, may, rank_of
from tests.model.kernel import Kernel
from tests.model.state import Member, Membership, Space, Tenant
from tests.support.client import A_UUID, v1_id


class Spaces(Kernel):
    def get_me(self) -> Expected:
        roles = sorted((self.spaces[space], role) for space, role in self.me.roles.items() if space in self.places)
        tenant = v1_id(self._tenant_id(self.me.tenant))
        names = {self.spaces[space]: space for space in self.me.roles}
        shown = [
            {
                "space_id": v1_id(space),
                "name": self.places[names[space]].name,
                "is_default": names[space].endswith("/default"),
                "role_id": self.roles[role],
                "role": role,
            }
            for space, role in roles
        ]
        ids = {"principal_id": v1_id(self.me.id), "id": self.me.id, "tenant_id": tenant}
        own = {"name": self.me.name, "email": self.me.email, "tenant_role": self.me.tenant_role}
        # The demo's token, which is not narrowed.
        parts = ("name", "permissions", "space_ids", "project_ids", "expires_at")
        credential = {"id": A_UUID, "kind": "token", **dict.fromkeys(parts)}
        return Expected(200, {**ids, "kind": "user", **own, "spaces": shown, "credential": credential}, etag=DIGEST)

    def list_roles(self) -> Expected:
        shown = [
            {"id": self.roles[role], "key": role, "permissions": [p for p in PERMISSIONS if may(rank_of(role), p)]}
            for role in ROLES
        ]
        return self._listed(shown, None)

    # ------------------------------------------------------------ the tenant

    def get_tenant(self) -> Expected:
        return self._shown_tenant(self.tenants[self.me.tenant])

    def update_tenant(self) -> Expected:
        tenant = self.tenants[self.me.tenant]
        self._replay()
        require(self.me.is_admin, NOT_ADMIN["tenant:update"])
        self._match(tenant.version)
        if self._sets(tenant):
            self._commit_on(tenant, "tenant.updated", self._tenant(tenant), ["name"])
        return self._shown_tenant(tenant)

    def _shown_tenant(self, tenant: Tenant) -> Expected:
        return Expected(200, self._tenant(tenant), etag=self._tag(tenant.version))

    def _tenant(self, tenant: Tenant) -> dict[str, Any]:
        moments = {"created_at": tenant.created_at, "updated_at": tenant.updated_at}
        return {"id": v1_id(tenant.id), "name": tenant.name, **moments}

    def _sets(self, thing: Tenant | Space) -> list[str]:
        """Sets the fields of the body, and returns the names of those that have changed."""
        sent = {name: value.strip() if name == "name" else value for name, value in self.body.items()}
        changed = [name for name, value in sent.items() if value != getattr(thing, name)]
        for name in changed:
            setattr(thing, name, sent[name])
        if changed:
            thing.version, thing.updated_at = thing.version + 1, self.now
        self.succeeded = True
        return changed

    # ------------------------------------------------------------ spaces

    def list_spaces(self) -> Expected:
        """The spaces in which the caller has a role, and for an admin all of its tenant. For a member, a deleted one
        takes a place on its page until it is purged."""
        seen = [name for name, space in self.places.items() if space.tenant == self.me.tenant]
        names = {self.spaces[name]: name for name in (seen if self.me.is_admin else self.me.roles)}
        page, more = self._page(names, 20)
        shown = [self.places[names[id]] for id in page if names[id] in self.places]
        return self._listed([self._space(space) for space in shown], more)

    def get_space(self) -> Expected:
        return self._shown_space(self._open_space()[0])

    def create_space(self) -> Expected:
        require(self.me.is_admin, NOT_ADMIN["space:create"])
        self._replay()
        self._match_nothing()
        owner = self.body.get("owner", self.call.by)
        is_known = owner is None or (owner in self.people and self.people[owner].tenant == self.me.tenant)
        require(is_known, invalid("owner", "No such principal", "unknown_principal"))
        require(owner is None or self.people[owner].status == "active", SUSPENDED)
        name, description = self.body["name"].strip(), self.body.get("description", "")
        space = Space(self.fresh, self.me.tenant, name, description, self.now, self.now, sequence=0)
        self.spaces[f"{self.me.tenant}/{self.fresh}"] = self.fresh
        self.places[f"{self.me.tenant}/{self.fresh}"] = space
        self._commit_on(space, "space.created", self._space(space))
        if owner is not None:
            self._join(space, owner, "owner")
        return self._shown_space(space, 201)

    def update_space(self) -> Expected:
        space, rank = self._open_space()
        self._replay()
        require(may(rank, "space:manage"), NOT_SPACE)
        self._match(space.version)
        if changed := self._sets(space):
            self._commit_on(space, "space.updated", self._space(space), changed)
        return self._shown_space(space)

    def delete_space(self) -> Expected:
        """The roles of its members stay until it is purged, and nothing comes of them."""
        found = self.places.get(self.call.space)
        if found is None or found.tenant != self.me.tenant:
            raise not_found("Space")
        require(self.me.is_admin, NOT_ADMIN["space:create"])
        require(not self.call.space.endswith("/default"), DEFAULT_SPACE)
        require(all(project.space != self.call.space for project in self.projects.values()), NOT_EMPTY)
        self._match(found.version)
        self._commit_on(found, "space.deleted", self._space(found))
        del self.places[self.call.space]
        return Expected(204, confirms=True)

    def purge(self) -> None:
        """Ends the roles in deleted spaces."""
        for person in self.people.values():
            for name in person.roles.keys() - self.places.keys():
                del person.roles[name]

    def _open_space(self) -> tuple[Space, int]:
        """The space, and the rank of the caller in it."""
        found = self.places.get(self.call.space)
        if found is None or found.tenant != self.me.tenant:
            raise not_found("Space")
        rank = self._role_in(self.call.space)
        require(rank, NO_SPACE)
        return found, rank

    def _shown_space(self, space: Space, status: int = 200) -> Expected:
        return Expected(status, self._space(space), etag=self._tag(space.version))

    def _space(self, space: Space) -> dict[str, Any]:
        return {
            "id": v1_id(space.id),
            "tenant_id": v1_id(self._tenant_id(space.tenant)),
            "name": space.name,
            "description": space.description,
            "created_at": space.created_at,
            "updated_at": space.updated_at,
        }

    # ------------------------------------------------------------ members of spaces

    def list_members_of_space(self) -> Expected:
        space, _ = self._open_space()
        by_id = {self.people[name].id: name for name in space.members}
        page, more = self._page(by_id, 20)
        return self._listed([self._member_of(space, by_id[id]) for id in page], more)

    def get_member_of_space(self) -> Expected:
        space, _ = self._open_space()
        self._one_of(space)
        return self._shown_member_of(space, self.call.item)

    def add_member_to_space(self) -> Expected:
        space = self._managed()
        role = self._granted_in_space()
        self._match_nothing()
        name = self._named()
        require(name not in space.members, TWICE_IN_SPACE)
        self._join(space, name, role)
        return self._shown_member_of(space, name, 201)

    def set_role_in_space(self) -> Expected:
        space = self._managed()
        role = self._granted_in_space()
        member = self._one_of(space)
        self._match_member(member)
        self.succeeded = True
        if role != member.role:
            self._require_another_owner(space, member)
            self._set_role(member, role)
            self.people[self.call.item].roles[self.call.space] = role
            shown = self._member_of(space, self.call.item)
            self._commit_on(space, "space_member.role_changed", shown, ["role_id"])
        return self._shown_member_of(space, self.call.item)

    def remove_member_from_space(self) -> Expected:
        space, rank = self._open_space()
        leaves = self.call.item == self.call.by
        require(leaves or may(rank, "space:manage"), NOT_SPACE)
        member = self._one_of(space)
        self._match_member(member)
        self._require_another_owner(space, member)
        self._commit_on(space, "space_member.removed", self._member_of(space, self.call.item))
        del space.members[self.call.item], self.people[self.call.item].roles[self.call.space]
        return Expected(204, confirms=True)

    def _managed(self) -> Space:
        space, rank = self._open_space()
        self._replay()
        require(may(rank, "space:manage"), NOT_SPACE)
        return space

    def _granted_in_space(self) -> str:
        require(self.body["role"] in ROLES, invalid("role", "No such role. See GET /v1/roles", "unknown_role"))
        return str(self.body["role"])

    def _one_of(self, space: Space) -> Member:
        require(self.call.item in space.members, not_found("Member"))
        return space.members[self.call.item]

    def _require_another_owner(self, space: Space, member: Member) -> None:
        """An admin may take the last one away."""
        owners = [each for each in space.members.values() if each.role == "owner"]
        require(member.role != "owner" or len(owners) > 1 or self.me.is_admin, LAST_OWNER)

    def _join(self, space: Space, name: str, role: str) -> None:
        called = next(called for called, each in self.places.items() if each is space)
        space.members[name] = Member(Membership(self._memberships), role, self.now, self.now)
        self.people[name].roles[called] = role
        self._commit_on(space, "space_member.added", self._member_of(space, name))

    def _shown_member_of(self, space: Space, name: str, status: int = 200) -> Expected:
        member = space.members[name]
        return Expected(status, self._member_of(space, name), etag=str(member.version), membership=member.id)

    def _member_of(self, space: Space, name: str) -> dict[str, Any]:
        member = space.members[name]
        return {
            "tenant_id": v1_id(self._tenant_id(space.tenant)),
            "space_id": v1_id(space.id),
            "principal_id": self._uuid(name),
            "role_id": self.roles[member.role],
            "created_at": member.created_at,
            "updated_at": member.updated_at,
        }


OPERATIONS: dict[str, Callable[[Spaces], Expected]] = {
    "V1GetMe": Spaces.get_me,
    "V1ListRoles": Spaces.list_roles,
    "V1GetTenant": Spaces.get_tenant,
    "V1UpdateTenant": Spaces.update_tenant,
    "V1ListSpaces": Spaces.list_spaces,
    "V1GetSpace": Spaces.get_space,
    "V1CreateSpace": Spaces.create_space,
    "V1UpdateSpace": Spaces.update_space,
    "V1DeleteSpace": Spaces.delete_space,
    "V1ListSpaceMembers": Spaces.list_members_of_space,
    "V1GetSpaceMember": Spaces.get_member_of_space,
    "V1AddSpaceMember": Spaces.add_member_to_space,
    "V1UpdateSpaceMember": Spaces.set_role_in_space,
    "V1RemoveSpaceMember": Spaces.remove_member_from_space,
}
