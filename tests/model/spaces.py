"""The caller with its spaces, and the roles."""

from collections.abc import Callable

from tests.model.answers import DIGEST, Expected
from tests.model.fields import PERMISSIONS, ROLES, may, rank_of
from tests.model.kernel import Kernel
from tests.support.client import v1_id


class Spaces(Kernel):
    def get_me(self) -> Expected:
        roles = sorted((self.spaces[space], role) for space, role in self.me.roles.items())
        tenant = v1_id(self._tenant_id(self.me.tenant))
        names = {self.spaces[space]: space.rpartition("/")[2] for space in self.me.roles}
        shown = [
            {
                "space_id": v1_id(space),
                "name": self.me.tenant.title() if names[space] == "default" else names[space],
                "is_default": names[space] == "default",
                "role_id": self.roles[role],
                "role": role,
            }
            for space, role in roles
        ]
        ids = {"principal_id": v1_id(self.me.id), "id": self.me.id, "tenant_id": tenant}
        body = {**ids, "kind": "user", "name": self.me.name, "email": self.me.email, "spaces": shown}
        return Expected(200, body, etag=DIGEST)

    def list_roles(self) -> Expected:
        shown = [
            {"id": self.roles[role], "key": role, "permissions": [p for p in PERMISSIONS if may(rank_of(role), p)]}
            for role in ROLES
        ]
        return self._listed(shown, None)


OPERATIONS: dict[str, Callable[[Spaces], Expected]] = {
    "V1GetMe": Spaces.get_me,
    "V1ListRoles": Spaces.list_roles,
}
