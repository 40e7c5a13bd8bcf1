"""The principals of a tenant: what its admins do with them, and each of them with itself."""

from collections.abc import Callable
from typing import Any

from tests.model.answers import (
    EMAIL_TAKEN,
    EXTERNAL_ID_TAKEN,
    LAST_ADMIN,
    NOT_PRINCIPALS,
    Expected,
    invalid,
    not_found,
    require,
)
from tests.model.kernel import Kernel
from tests.model.state import Person
from tests.support.client import v1_id

# The fields of a body, with their values where it has none.
DEFAULTS = {"kind": "user", "email": None, "external_id": None, "tenant_role": "member"}


class Principals(Kernel):
    def list_principals(self) -> Expected:
        """A page with a filter may be short."""
        require(self.me.is_admin, NOT_PRINCIPALS)
        by_id = {self.people[name].id: name for name in self._of_the_tenant()}
        page, more = self._page(by_id, 20)
        wanted = {name: self.call.query[name] for name in ("kind", "status") if name in self.call.query}
        shown = [self.people[by_id[id]] for id in page]
        fitting = [each for each in shown if all(getattr(each, name) == value for name, value in wanted.items())]
        return self._listed([self._principal(each) for each in fitting], more)

    def get_principal(self) -> Expected:
        return self._shown_principal(self._of_its_own_or_an_admins())

    def list_projects_of(self) -> Expected:
        """Those that are deleted and not purged yet leave a gap."""
        person = self._of_its_own_or_an_admins()
        name = next(name for name, each in self.people.items() if each is person)
        joined = {id for id, each in (self.projects | self.deleted).items() if name in each.members}
        page, more = self._page(joined, 20)
        shown = [
            {
                "project_id": v1_id(id),
                "space_id": v1_id(self.spaces[self.projects[id].space]),
                "name": self.projects[id].name,
                "role_id": self.roles[self.projects[id].members[name].role],
                "is_manager": self.projects[id].manager == name,
            }
            for id in page
            if id in self.projects
        ]
        return self._listed(shown, more)

    def create_principal(self) -> Expected:
        if self.me.is_admin:
            self._replay()
        require(self.me.is_admin, NOT_PRINCIPALS)
        self._match_nothing()
        fields = DEFAULTS | self.body
        made = Person(
            self.fresh,
            self.me.tenant,
            fields["name"].strip(),
            fields["email"] and fields["email"].lower(),
            {},
            created_at=self.now,
            updated_at=self.now,
            **{name: fields[name] for name in ("kind", "external_id", "tenant_role")},
        )
        self._require_fit(made)
        self.people[self.fresh] = made
        self.succeeded = True
        return self._shown_principal(made, 201)

    def update_principal(self) -> Expected:
        is_own = self.call.item == self.call.by and self.body.keys() <= {"name"}
        if is_own or self.me.is_admin:
            self._replay()
        require(is_own or self.me.is_admin, NOT_PRINCIPALS)
        person = self._the_principal()
        self._match(person.version)
        self.succeeded = True
        sent = {name: value.lower() if name == "email" and value else value for name, value in self.body.items()}
        sent |= {name: value.strip() for name, value in sent.items() if name == "name"}
        changes = {name: value for name, value in sent.items() if value != getattr(person, name)}
        if changes:
            self.succeeded = False
            was = vars(person).copy()
            vars(person).update(changes)
            try:
                self._require_fit(person)
                admins = [each for each in self.people.values() if each.tenant == person.tenant and each.is_admin]
                require(admins, LAST_ADMIN)
            except Exception:
                vars(person).update(was)
                raise
            person.updated_at, person.version = self.now, person.version + 1
            self.succeeded = True
        return self._shown_principal(person)

    def delete_principal(self) -> Expected:
        """Of one with no role in a space or a project: what becomes of these is done by the purge."""
        require(self.me.is_admin, NOT_PRINCIPALS)
        person = self._the_principal()
        admins = [self.people[name] for name in self._of_the_tenant() if self.people[name].is_admin]
        require(admins != [person], LAST_ADMIN)
        self._match(person.version)
        del self.people[self.call.item]
        self.succeeded = True
        return Expected(204, confirms=True)

    def _of_its_own_or_an_admins(self) -> Person:
        require(self.me.is_admin or self.call.item == self.call.by, NOT_PRINCIPALS)
        return self._the_principal()

    def _the_principal(self) -> Person:
        require(self.call.item in self._of_the_tenant(), not_found("Principal"))
        return self.people[self.call.item]

    def _of_the_tenant(self) -> list[str]:
        return [name for name, person in self.people.items() if person.tenant == self.me.tenant]

    def _require_fit(self, person: Person) -> None:
        """Of what is made, or changed already."""
        missing = invalid("email", "A user has an e-mail address", "missing")
        require(person.kind == "service" or person.email, missing)
        no_admin = invalid("tenant_role", "Only a user may be an admin", "users_only")
        require(person.kind == "user" or person.tenant_role == "member", no_admin)
        others = [self.people[name] for name in self._of_the_tenant() if self.people[name] is not person]
        require(person.email is None or person.email not in {each.email for each in others}, EMAIL_TAKEN)
        ids = {each.external_id for each in others}
        require(person.external_id is None or person.external_id not in ids, EXTERNAL_ID_TAKEN)

    def _shown_principal(self, person: Person, status: int = 200) -> Expected:
        return Expected(status, self._principal(person), etag=self._tag(person.version))

    def _principal(self, person: Person) -> dict[str, Any]:
        return {
            "id": v1_id(person.id),
            "tenant_id": v1_id(self._tenant_id(person.tenant)),
            "kind": person.kind,
            "name": person.name,
            "email": person.email,
            "external_id": person.external_id,
            "tenant_role": person.tenant_role,
            "status": person.status,
            "created_at": person.created_at,
            "updated_at": person.updated_at,
        }


OPERATIONS: dict[str, Callable[[Principals], Expected]] = {
    "V1ListPrincipals": Principals.list_principals,
    "V1CreatePrincipal": Principals.create_principal,
    "V1GetPrincipal": Principals.get_principal,
    "V1UpdatePrincipal": Principals.update_principal,
    "V1DeletePrincipal": Principals.delete_principal,
    "V1ListPrincipalProjects": Principals.list_projects_of,
}
