"""Members of a project, the flat dialect's team, and the search for people."""

from collections.abc import Callable

from tests.model.answers import (
    ARCHIVED,
    NAMED_MANAGER,
    NO_PROJECT,
    NOT_MEMBERS,
    TWICE,
    Expected,
    invalid,
    not_found,
    require,
)
from tests.model.fields import ROLES, rank_of
from tests.model.kernel import Kernel
from tests.model.state import Member, Membership, Project


class Members(Kernel):
    def list_members(self) -> Expected:
        project = self._open_to("member:read", NO_PROJECT)
        by_id = {self.people[name].id: name for name in project.members}
        page, more = self._page(by_id, 20)
        return self._listed([self._member(project, by_id[id]) for id in page], more)

    def get_member(self) -> Expected:
        project = self._open_to("member:read", NO_PROJECT)
        self._the_member(project)
        return self._shown_member(project, self.call.item)

    def add_member(self) -> Expected:
        """The flat dialect adds contributors."""
        project = self._open_to("member:manage", NOT_MEMBERS, replays=True)
        role = self._granted() if self.v1 else "contributor"
        self._match_nothing()
        require(not project.is_archived, ARCHIVED)
        name = self._named()
        require(name not in project.members, TWICE)
        project.members[name] = Member(Membership(self._memberships), role, self.now, self.now)
        self._commit(project, "member.added", self._member(project, name))
        return self._shown_member(project, name, 201) if self.v1 else Expected(201, self._person(name))

    def set_role(self) -> Expected:
        project = self._open_to("member:manage", NOT_MEMBERS, replays=True)
        role = self._granted()
        member = self._the_member(project)
        self._match_member(member)
        if role == member.role:
            self.succeeded = True
            return self._shown_member(project, self.call.item)
        require(not project.is_archived, ARCHIVED)
        require(role == "manager" or project.manager != self.call.item, NAMED_MANAGER)
        self._set_role(member, role)
        self._commit(project, "member.role_changed", self._member(project, self.call.item), ["role_id"])
        return self._shown_member(project, self.call.item)

    def remove_member(self) -> Expected:
        """Members may remove themselves. Tasks stay assigned to a removed member."""
        leaves = self.call.item == self.call.by
        project = self._open_to("member:read" if leaves else "member:manage", NO_PROJECT if leaves else NOT_MEMBERS)
        member = self._the_member(project)
        self._match_member(member)
        require(not project.is_archived, ARCHIVED)
        require(project.manager != self.call.item, NAMED_MANAGER)
        self._commit(project, "member.removed", self._member(project, self.call.item))
        del project.members[self.call.item]
        return self._done("Team member removed successfully.")

    def list_team(self) -> Expected:
        return self._listed([self._person(name) for name in self._team(self._open_to("member:read", NO_PROJECT))], None)

    def find_person(self) -> Expected:
        self._open_to("member:manage", NOT_MEMBERS)
        found = [name for name in self._colleagues() if self.people[name].email == self.body["email"].lower()]
        require(found, not_found("User"))
        return Expected(200, self._person(found[0]))

    def search_people(self) -> Expected:
        """Finds people by the beginning of their e-mail address or of a word of their name.

        A manager of the project's space finds all people of the tenant; others find those with a common space.
        """
        project = self._open_to("member:manage", NOT_MEMBERS)
        sees_all = self._role_in(project.space) >= rank_of("manager")
        text = self.call.query["q"]
        found = [
            name
            for name in self._colleagues()
            if (sees_all or self.me.roles.keys() & self.people[name].roles.keys())
            if f" {text}" in f" {self.people[name].name.lower()}" or (self.people[name].email or "").startswith(text)
        ]
        found.sort(key=lambda name: (self.people[name].email or "", self.people[name].id))
        return self._listed([self._person(name) for name in found[:10]], None)

    def _granted(self) -> str:
        unknown = invalid("role", "No such role of projects. See GET /v1/roles", "unknown_role")
        require(self.body["role"] in ROLES[:3], unknown)
        return str(self.body["role"])

    def _the_member(self, project: Project) -> Member:
        require(self.call.item in project.members, not_found("Member"))
        return project.members[self.call.item]

    def _shown_member(self, project: Project, name: str, status: int = 200) -> Expected:
        member = project.members[name]
        return Expected(status, self._member(project, name), etag=str(member.version), membership=member.id)

    def _colleagues(self) -> list[str]:
        return [name for name, person in self.people.items() if person.tenant == self.me.tenant]


OPERATIONS: dict[str, Callable[[Members], Expected]] = {
    "V1ListMembers": Members.list_members,
    "V1GetMember": Members.get_member,
    "V1AddMember": Members.add_member,
    "V1UpdateMember": Members.set_role,
    "V1RemoveMember": Members.remove_member,
    "ListTeam": Members.list_team,
    "AddTeamMember": Members.add_member,
    "RemoveTeamMember": Members.remove_member,
    "FindTeamMember": Members.find_person,
    "SearchTeam": Members.search_people,
}
