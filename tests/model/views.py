"""How resources look in answers and events, in both dialects."""

from collections.abc import Mapping
from typing import Any

from tests.model.answers import Call, Expected
from tests.model.fields import camel
from tests.model.state import Note, Person, Project, Record, tag, version_of
from tests.support.client import v1_id


class Views:
    """`spaces` and `roles` have the ids of spaces and roles by name; `v1` is the dialect of the current call."""

    call: Call
    v1: bool

    def __init__(self, people: Mapping[str, Person], spaces: dict[str, str], roles: Mapping[str, str]) -> None:
        self.people, self.spaces, self.roles = dict(people), spaces, roles

    def _listed(self, views: list[Any], more: str | None) -> Expected:
        if not self.v1:
            return Expected(200, views, more=more)
        return Expected(200, {"data": views, "meta": {"has_more": more is not None, "next_cursor": more}}, more=more)

    def _done(self, message: str) -> Expected:
        return Expected(204, confirms=True) if self.v1 else Expected(200, {"message": message}, confirms=True)

    def _shown(self, project: Project, status: int = 200) -> Expected:
        if self.v1:
            return Expected(status, self._v1_project(project), etag=self._tag(project.version))
        return Expected(status, self._flat_project(project), etag=self._tag(project.sequence))

    def _tag(self, version: object) -> str:
        return tag(self.call.route, version)

    def _record_tag(self, record: Record) -> str:
        return self._tag(version_of(self.call.route, record))

    def _tenant_id(self, tenant: str) -> str:
        return self.spaces[f"{tenant}/default"]

    def _where(self, project: Project) -> dict[str, str]:
        tenant = self._tenant_id(project.space.partition("/")[0])
        return {"tenant_id": v1_id(tenant), "space_id": v1_id(self.spaces[project.space])}

    def _uuid(self, name: str) -> str:
        return v1_id(self.people[name].id)

    def _summary(self, project: Project) -> dict[str, Any]:
        return {
            "id": v1_id(project.id),
            **self._where(project),
            "name": project.name,
            "manager_id": self._uuid(project.manager),
            "created_by": self._uuid(project.created_by),
            "status": project.status,
            "created_at": project.created_at,
            "updated_at": project.updated_at,
        }

    def _v1_project(self, project: Project) -> dict[str, Any]:
        return {**self._summary(project), "description": project.description}

    def _flat_project(self, project: Project) -> dict[str, Any]:
        tasks = project.records["task"]
        return {
            "_id": project.id,
            "projectName": project.name,
            "clientName": project.client,
            "description": project.summary,
            "manager": self.people[project.manager].id,
            "tasks": [{"_id": id} | {at: tasks[id].fields[at] for at in ("name", "status")} for id in sorted(tasks)],
            "team": [self.people[name].id for name in self._team(project)],
        }

    def _team(self, project: Project) -> list[str]:
        return sorted(project.members.keys() - {project.manager}, key=lambda name: self.people[name].id)

    def _member(self, project: Project, name: str) -> dict[str, Any]:
        member = project.members[name]
        return {
            "tenant_id": self._where(project)["tenant_id"],
            "project_id": v1_id(project.id),
            "principal_id": self._uuid(name),
            "role_id": self.roles[member.role],
            "status": "active",
            "created_at": member.created_at,
            "updated_at": member.updated_at,
        }

    def _person(self, name: str) -> dict[str, Any]:
        person = self.people[name]
        return {"_id": person.id, "name": person.name, "email": person.email}

    def _record(self, project: Project, record: Record) -> dict[str, Any]:
        return self._v1_record(project, record) if self.v1 else self._flat_record(project, record)

    def _v1_record(self, project: Project, record: Record) -> dict[str, Any]:
        fields = dict(record.fields)
        if record.kind == "task":
            fields["assigned_to"] = fields["assigned_to"] and self._uuid(fields["assigned_to"])
            fields["completed_by"] = [
                {"principal_id": self._uuid(entry["principal"]), "status": entry["status"], "at": entry["at"]}
                for entry in fields["completed_by"]
            ]
        return {
            "id": v1_id(record.id),
            **self._where(project),
            "project_id": v1_id(project.id),
            **fields,
            "created_by": self._uuid(record.created_by),
            "created_at": record.created_at,
            "updated_at": record.updated_at,
        }

    def _flat_record(self, project: Project, record: Record) -> dict[str, Any]:
        fields = {camel(name): value for name, value in record.fields.items()}
        if record.kind == "task":
            fields["assignedTo"] = fields["assignedTo"] and self.people[fields["assignedTo"]].id
            fields["completedBy"] = [
                {"user": self.people[entry["principal"]].id, "status": entry["status"], "at": entry["at"]}
                for entry in fields["completedBy"]
            ]
            # The flat dialect shows a day as its midnight.
            fields["deadline"] = fields["deadline"] and f"{fields['deadline']}T00:00:00.000Z"
        return {
            "_id": record.id,
            "project": project.id,
            **fields,
            "createdBy": self.people[record.created_by].id,
            "createdAt": record.created_at,
            "updatedAt": record.updated_at,
        }

    def _notes(self, task: Record) -> list[dict[str, Any]]:
        return [self._note(task, task.notes[id]) for id in sorted(task.notes)]

    def _note(self, task: Record, note: Note) -> dict[str, Any]:
        author = self.people[note.created_by].id
        own = {"_id": note.id, "task": task.id, "content": note.content}
        return {**own, "createdBy": author, "createdAt": note.created_at}

    def _v1_note(self, project: Project, task: Record, note: Note) -> dict[str, Any]:
        """The form in events."""
        return {
            "id": v1_id(note.id),
            "tenant_id": self._where(project)["tenant_id"],
            "project_id": v1_id(project.id),
            "task_id": v1_id(task.id),
            "content": note.content,
            "created_by": self._uuid(note.created_by),
            "created_at": note.created_at,
        }
