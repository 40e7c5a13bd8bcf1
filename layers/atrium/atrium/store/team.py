"""The flat dialect's team: the members of a project other than its named manager, by name and e-mail.

Who is added to a team becomes a contributor: one who works on the project. It finds people in the tenant's directory.
"""

from atrium import keys
from atrium.errors import NotFound
from atrium.keys import Key
from atrium.models import Person
from atrium.roles import Role
from atrium.store.members import MAY_NOT_MANAGE, Members
from atrium.store.projects import MAX_MEMBERS, open_project
from atrium.store.table import Item, Range, starting_with
from atrium.store.work import Work
from atrium.text import searched

# How many people a search brings.
MAX_FOUND = 10


class Team:
    """The teams of projects, as the caller of one request may see and change them."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._tenant = work.caller.tenant
        self._members = Members(work)

    def of(self, project: str) -> list[Person]:
        """Raises NotFound and Forbidden. Two round trips: who is in it, and what they are called."""
        pk = keys.project(self._tenant, project).pk
        found, access, (rows,) = open_project(
            self._work, project, None, ranges=[starting_with(pk, keys.ROLE, None, MAX_MEMBERS)]
        )
        access.require_project_read()
        wanted = [self._principal(row["principal"]) for row in rows if row["principal"] != found.manager]
        self._work.read(*wanted)
        return [_person(row["id"], row) for row in map(self._work.item, wanted) if row is not None]

    def add(self, project: str, principal: str) -> Person:
        """Raises NotFound, Forbidden, Invalid for nobody of this tenant, Duplicate, Conflict when archived or full."""
        self._members.add(None, project, principal, Role.CONTRIBUTOR)
        row = self._work.item(self._principal(principal))
        if row is None:
            raise NotFound("User not found.")
        return _person(principal, row)

    def remove(self, project: str, principal: str) -> None:
        """Raises NotFound, Forbidden, Conflict for the named manager, or when archived."""
        self._members.remove(None, project, principal)

    def find(self, project: str, email: str) -> Person:
        """Who has an e-mail address. Raises NotFound and Forbidden."""
        key = keys.email(self._tenant, email.lower())
        _, access, _ = open_project(self._work, project, None, key)
        access.require_project_read()
        access.require("member:manage", MAY_NOT_MANAGE)
        row = self._work.item(key)
        if row is None:
            raise NotFound("User not found.")
        return _person(row["principal"], row)

    def search(self, project: str, text: str) -> list[Person]:
        """People whose e-mail address, or a word of whose name, begins with the text; at most MAX_FOUND.

        Raises NotFound and Forbidden.
        """
        pk = keys.directory(self._tenant)
        by_email, by_name = (keys.EMAIL + text.strip().lower(), keys.NAME + searched(text))
        _, access, found = open_project(
            self._work,
            project,
            None,
            ranges=[Range(pk, start, start + "\U0010ffff", MAX_FOUND) for start in (by_email, by_name)],
        )
        access.require_project_read()
        access.require("member:manage", MAY_NOT_MANAGE)
        people = {row["principal"]: _person(row["principal"], row) for rows in found for row in rows}
        return sorted(people.values(), key=lambda person: person.email)[:MAX_FOUND]

    def _principal(self, id: str) -> Key:
        return keys.principal(self._tenant, id)


def _person(id: str, row: Item) -> Person:
    return Person(id=id, name=row["name"], email=row["email"])
