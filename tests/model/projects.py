"""Projects: lists, creation, changes, archiving, handing over and deletion."""

from collections.abc import Callable
from typing import Any

from tests.model.answers import (
    ARCHIVED,
    NO_PROJECT,
    NO_SPACE,
    SUSPENDED,
    Expected,
    Refused,
    invalid,
    not_found,
    require,
)
from tests.model.fields import may, rank_of
from tests.model.kernel import Kernel
from tests.model.state import Member, Membership, Project


class Projects(Kernel):
    def list_projects(self) -> Expected:
        """All readable projects. For its members, a deleted one takes a place on its page until it is purged."""
        readable = [id for id, project in self.projects.items() if project.space in self.me.roles]
        page, more = self._page({*readable, *self._joined()}, 1000)
        return self._listed([self._flat_project(self.projects[id]) for id in page if id in self.projects], more)

    def list_projects_of_space(self) -> Expected:
        """All projects for a caller with a role in the space; for others, those of which they are members."""
        space = self.call.space
        require(self._is_here(space), not_found("Space"))
        if self._role_in(space):
            page, more = self._page([id for id, project in self.projects.items() if project.space == space], 20)
            found = [self.projects[id] for id in page]
        else:
            page, more = self._page(self._joined(), 20)
            found = [self.projects[id] for id in page if id in self.projects and self.projects[id].space == space]
            require(found or more or self.call.after, NO_SPACE)
        wanted = self.call.query.get("status")
        return self._listed([self._summary(project) for project in found if wanted in (None, project.status)], more)

    def create_project(self) -> Expected:
        space = self.call.space if self.v1 else f"{self.me.tenant}/default"
        require(self._is_here(space), not_found("Space"))
        require(self._role_in(space), NO_SPACE)
        self._replay()
        may_create = may(self._role_in(space), "project:create")
        require(may_create, Refused(403, "You may not create projects in this space."))
        self._match_nothing()
        description = self.body.get("description")
        project = Project(
            id=self.fresh,
            space=space,
            name=self.body["name"].strip(),
            client=self.body.get("client", "").strip(),
            description=description if self.v1 else {"summary": description},
            manager=self.call.by,
            created_by=self.call.by,
            created_at=self.now,
            updated_at=self.now,
            members={self.call.by: Member(Membership(self._memberships), "manager", self.now, self.now)},
        )
        self.projects[project.id] = project
        self._commit(project, "project.created", self._v1_project(project))
        return self._shown(project, 201)

    def get_project(self) -> Expected:
        return self._shown(self._open_to("project:read", NO_PROJECT))

    def update_project(self) -> Expected:
        """Changes fields, archives, hands over. The role of a new manager becomes manager."""
        project = self._open_to("project:read", NO_PROJECT, replays=True)
        _, rank = self._open()
        heir = self.body.get("manager")
        own = self.body.keys() - {"manager"}
        require(not own or may(rank, "project:update"), Refused(403, "You may not change this project."))
        may_transfer = may(rank, "project:transfer")
        require(not heir or may_transfer, Refused(403, "You may not hand this project over."))
        self._match(project.version)
        if not self._anew(project, self.body):
            return self._shown(project)
        require(not project.is_archived or self.body.get("status") == "active", ARCHIVED)
        if heir and heir != project.manager:
            require(heir in project.members, invalid("manager", "Must be a member of the project", "not_a_member"))
            require(self.people[heir].status == "active", SUSPENDED)
            self._set_role(project.members[heir], "manager")
        return self._change_project(project, self.body)

    def update_flat_project(self) -> Expected:
        """The update of the flat dialect. A field with its current value keeps its stored form."""
        project, rank = self._open()
        if rank:
            self._replay()
        require(rank >= rank_of("manager"), Refused(403, "Only the project manager can update this project."))
        self._match(project.sequence)
        client, text = self.body["client"].strip(), self.body["description"]
        is_new = text != project.summary or self._anew(project, {"name": self.body["name"], "client": client})
        if not is_new:
            self.succeeded = True
            return self._shown(project)
        require(not project.is_archived, ARCHIVED)
        require(client or not project.client, invalid("client", "Must not be empty", "string_too_short"))
        changes = {"name": self.body["name"], "client": client}
        if text != project.summary:
            require(text.strip(), invalid("description", "Must not be empty", "string_too_short"))
            stored = project.description
            changes["description"] = text if isinstance(stored, str) else {**(stored or {}), "summary": text}
        return self._change_project(project, changes)

    def delete_project(self) -> Expected:
        """Deletes archived projects too."""
        project, rank = self._open()
        if self.v1:
            require(rank, NO_PROJECT)
        message = "You may not delete this project." if self.v1 else "Only the project manager can delete this project."
        require(may(rank, "project:delete"), Refused(403, message))
        self._match(project.version if self.v1 else project.sequence)
        self._commit(project, "project.deleted", self._v1_project(project))
        self.deleted[project.id] = self.projects.pop(project.id)
        return self._done("Project deleted successfully.")

    def _anew(self, project: Project, changes: dict[str, Any]) -> dict[str, Any]:
        """The changes whose value differs from the current one. Without any, the version stays too."""
        stripped = {name: value.strip() if name == "name" else value for name, value in changes.items()}
        self.succeeded = not (anew := {n: value for n, value in stripped.items() if value != getattr(project, n)})
        return anew

    def _change_project(self, project: Project, changes: dict[str, Any]) -> Expected:
        anew = self._anew(project, changes)
        for name, value in anew.items():
            setattr(project, name, value)
        project.version += 1
        project.updated_at = self.now
        called = {"manager": "manager_id", "client": "client_name"}
        self._commit(project, "project.updated", self._v1_project(project), [called.get(name, name) for name in anew])
        return self._shown(project)

    def _joined(self) -> list[str]:
        """The projects of which the caller is a member, with deleted ones until they are purged."""
        return [id for id, project in {**self.projects, **self.deleted}.items() if self.call.by in project.members]

    def _is_here(self, space: str) -> bool:
        return space in self.places and space.partition("/")[0] == self.me.tenant


OPERATIONS: dict[str, Callable[[Projects], Expected]] = {
    "ListProjects": Projects.list_projects,
    "V1ListProjects": Projects.list_projects_of_space,
    "CreateProject": Projects.create_project,
    "V1CreateProject": Projects.create_project,
    "GetProject": Projects.get_project,
    "V1GetProject": Projects.get_project,
    "UpdateProject": Projects.update_flat_project,
    "V1UpdateProject": Projects.update_project,
    "DeleteProject": Projects.delete_project,
    "V1DeleteProject": Projects.delete_project,
}
