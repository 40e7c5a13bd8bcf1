"""Teams: the members of a project other than its named manager, by name and e-mail.

Who is added to a team becomes a contributor: one who works on the project. It finds people in the tenant's directory.
"""

from atrium import keys
from atrium.errors import Code, NotFound
from atrium.keys import Key
from atrium.models import Person, Who
from atrium.permissions import Role
from atrium.store.access import space_access
from atrium.store.change import ANYWHERE, MAX_MEMBERS, read_project
from atrium.store.engine.table import Range, starting_with
from atrium.store.engine.work import Work
from atrium.store.members import Members
from atrium.store.rows import to_person
from atrium.text import address, searched

# How many people a search brings; and among how many of each beginning, by name and by e-mail address, it looks for
# those whom the caller may find.
MAX_FOUND = 10
MAX_LOOKED_AT = 100

# How much of an address is searched for. In UTF-8 the end of its range is a sort key of less than 1,024 bytes.
_MAX_BEGINNING = 200


class Team:
    """The teams of projects, as the caller of one request may see and change them."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._tenant = work.caller.tenant
        self._members = Members(work, ANYWHERE)

    def of(self, project: str) -> list[Person]:
        """Raises NotFound and Forbidden. Two round trips: who is in it, and what they are called."""
        pk = keys.project(self._tenant, project).pk
        wanted_range = starting_with(pk, keys.ROLE, None, MAX_MEMBERS)
        opened = read_project(self._work, ANYWHERE, project, ranges=[wanted_range])
        (rows,), manager = opened.rows, opened.project.manager
        wanted = [self._principal(row["principal"]) for row in rows if row["principal"] != manager]
        self._work.read(*wanted)
        return [to_person(row) for row in map(self._work.item, wanted) if row is not None]

    def add(self, project: str, principal: str) -> Person:
        """Raises NotFound, Forbidden, Invalid for nobody of this tenant, Duplicate, Conflict when archived or full."""
        self._members.add(project, Who(principal), Role.CONTRIBUTOR)
        row = self._work.item(self._principal(principal))
        if row is None:
            raise NotFound("User not found.", Code.USER_NOT_FOUND)
        return to_person(row)

    def remove(self, project: str, principal: str) -> None:
        """Raises NotFound, Forbidden, Conflict for the named manager, or when archived."""
        self._members.remove(project, principal)

    def find(self, project: str, email: str) -> Person:
        """Who has an e-mail address. Raises NotFound and Forbidden."""
        key = keys.email(self._tenant, address(email))
        read_project(self._work, ANYWHERE, project, key).access.require("member:manage")
        row = self._work.item(key)
        if row is None:
            raise NotFound("User not found.", Code.USER_NOT_FOUND)
        return to_person(row)

    def search(self, project: str, text: str) -> list[Person]:
        """People whose e-mail address, or a word of whose name, begins with the text; at most MAX_FOUND.

        Everybody for a manager of the project's space; else those who have a role in a space in which the caller has
        one too: a project of one's own must not open the whole directory. A second round trip says who they are.
        Raises NotFound and Forbidden.
        """
        pk = keys.directory(self._tenant)
        by_email, by_name = (keys.EMAIL + address(text)[:_MAX_BEGINNING], keys.NAME + searched(text))
        opened = read_project(
            self._work,
            ANYWHERE,
            project,
            ranges=[Range(*keys.matching(pk, start), MAX_LOOKED_AT) for start in (by_email, by_name)],
        )
        opened.access.require("member:manage")
        people = {row["principal"]: to_person(row) for rows in opened.rows for row in rows}
        if not space_access(self._work, opened.project.space).covers(Role.MANAGER):
            mine = self._work.me["spaces"]
            people = self._near(people, {each for each in mine if space_access(self._work, each).allows("member:read")})
        return sorted(people.values(), key=lambda person: (person.email or "", person.id))[:MAX_FOUND]

    def _near(self, people: dict[str, Person], spaces: set[str]) -> dict[str, Person]:
        """Those with a role in one of the spaces."""
        if not spaces or not people:
            return {}
        self._work.read(*map(self._principal, people))
        rows = {id: self._work.item(self._principal(id)) for id in people}
        return {id: people[id] for id, row in rows.items() if row is not None and spaces & row["spaces"].keys()}

    def _principal(self, id: str) -> Key:
        return keys.principal(self._tenant, id)
