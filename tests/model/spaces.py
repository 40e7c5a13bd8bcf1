"""The caller with its spaces, and the roles."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.model.answers import DIGEST, NO_SPACE, Expected, not_found, require
from tests.model.fields import PERMISSIONS, ROLES, may, rank_of
from tests.model.kernel import Kernel
from tests.model.state import Moment
from tests.support.client import v1_id


class Spaces(Kernel):
    def get_me(self) -> Expected:
        roles = sorted((self.spaces[space], role) for space, role in self.me.roles.items())
        tenant = v1_id(self._tenant_id(self.me.tenant))
        names = {self.spaces[space]: space for space in self.me.roles}
        shown = [
            {
                "space_id": v1_id(space),
                "name": self._name(names[space]),
                "is_default": names[space].endswith("/default"),
                "role_id": self.roles[role],
                "role": role,
            }
            for space, role in roles
        ]
        ids = {"principal_id": v1_id(self.me.id), "id": self.me.id, "tenant_id": tenant}
        body = {**ids, "kind": "user", "name": self.me.name, "email": self.me.email, "spaces": shown}
        return Expected(200, body, etag=DIGEST)

    def list_spaces(self) -> Expected:
        """The spaces in which the caller has a role. They were made before the first request."""
        names = {self.spaces[space]: space for space in self.me.roles}
        page, more = self._page(names, 20)
        return self._listed([self._space(names[id]) for id in page], more)

    def get_space(self) -> Expected:
        space = self.call.space
        require(space.partition("/")[0] == self.me.tenant, not_found("Space"))
        require(space in self.me.roles, NO_SPACE)
        return Expected(200, self._space(space), etag=DIGEST)

    def _space(self, space: str) -> dict[str, Any]:
        return {
            "id": v1_id(self.spaces[space]),
            "tenant_id": v1_id(self._tenant_id(self.me.tenant)),
            "name": self._name(space),
            "created_at": Moment(datetime.fromtimestamp(0, UTC), self.now.ended),
        }

    def _name(self, space: str) -> str:
        """The default space has the tenant's name."""
        name = space.rpartition("/")[2]
        return self.me.tenant.title() if name == "default" else name

    def list_roles(self) -> Expected:
        shown = [
            {"id": self.roles[role], "key": role, "permissions": [p for p in PERMISSIONS if may(rank_of(role), p)]}
            for role in ROLES
        ]
        return self._listed(shown, None)


OPERATIONS: dict[str, Callable[[Spaces], Expected]] = {
    "V1GetMe": Spaces.get_me,
    "V1ListSpaces": Spaces.list_spaces,
    "V1GetSpace": Spaces.get_space,
    "V1ListRoles": Spaces.list_roles,
}
