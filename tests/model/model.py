"""What the API answers, as a program that fits on a few pages: a specification that runs.

`Model.answer` takes a request and gives its whole answer, from nothing but dicts. It knows both dialects, roles,
idempotency, lists and events; it knows no table, no transaction and no concurrency. Things are named as people name
them: a principal is "viewer", a space "acme/default", a field what the store calls it, and an id is its 24 digits.
`tests/model/test_model.py` holds the API against it.

What the server chooses is left open: an id is given to the model, a moment becomes known when an answer shows it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from tests.support.client import MOMENT, v1_id

# The version of what counts none: a digest of what is shown.
DIGEST = "digest"

ROLES = ("viewer", "contributor", "manager", "owner")
# The weakest role that has each permission.
PERMISSIONS = {
    "project:read": "viewer",
    "member:read": "viewer",
    "project:create": "contributor",
    "project:update": "contributor",
    "record:write": "contributor",
    "member:manage": "manager",
    "project:delete": "manager",
    "project:transfer": "manager",
    "space:manage": "owner",
}
PHASES = ("business", "data_understanding", "data_preparation", "modeling", "evaluation", "deployment")
STATUSES = ("pending", "onHold", "inProgress", "underReview", "completed")
STALLED = ("onHold", "inProgress", "underReview")
# For each kind the required fields, and the others with their defaults.
KINDS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "task": (
        ("name", "description", "phase"),
        {"status": "pending", "completed": False, "assigned_to": None}
        | dict.fromkeys(("estimated_hours", "priority", "deadline")),
    ),
    "dataset": (("name", "source", "description", "acquisition_date", "phase"), {"records": 0}),
    "experiment": (("name", "algorithm_model", "parameters", "metric", "result", "conclusion", "phase"), {}),
    "decision": (("description", "justification", "phase"), {"alternatives": ""}),
}
# What a body must have, by route.
REQUIRED: dict[str, tuple[str, ...]] = {
    "CreateProject": ("name", "client", "description"),
    "UpdateProject": ("name", "client", "description"),
    "V1CreateProject": ("name",),
    "V1AddMember": ("principal", "role"),
    "V1UpdateMember": ("role",),
    "AddTeamMember": ("principal",),
    "FindTeamMember": ("email",),
    "UpdateTask": ("name", "description"),
    "SetTaskStatus": ("status",),
    "SetTaskPhase": ("phase",),
    "ReassignTask": ("assigned_to",),
    "AddTaskNote": ("content",),
    **{f"{dialect}Create{kind.title()}": fields for kind, (fields, _) in KINDS.items() for dialect in ("", "V1")},
}
# What a body may have, by route of v1; a change of a record as its creation.
KNOWN: dict[str, tuple[str, ...]] = {
    "V1CreateProject": ("name", "description"),
    "V1UpdateProject": ("name", "description", "status", "manager"),
    "V1AddMember": ("principal", "role"),
    "V1UpdateMember": ("role",),
    **{
        f"V1{does}{kind.title()}": (*fields, *more)
        for kind, (fields, more) in KINDS.items()
        for does in ("Create", "Update")
    },
}
# Here an empty text is not judged before the project is read, since what is stored may be sent back; or not at all,
# since v1 gives back any description as it was sent.
_JUDGED_LATE = {("UpdateProject", "client"), ("UpdateProject", "description"), ("FindTeamMember", "email")} | {
    ("V1CreateProject", "description"),
    ("V1UpdateProject", "description"),
}
# Texts that may not be blank when they are required, or given.
NOT_BLANK = {"name", "client", "description", "source", "content", "justification", *KINDS["experiment"][0]} - {"phase"}


def is_v1(route: str) -> bool:
    return route.startswith("V1")


def spelled(route: str, name: str) -> str:
    """A field's name on the wire."""
    if is_v1(route):
        return {"principal": "principal_id", "role": "role_id", "manager": "manager_id"}.get(name, name)
    if "Project" in route:
        return {"name": "projectName", "client": "clientName"}.get(name, name)
    return {"principal": "id"}.get(name, _camel(name))


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


class Moment:
    """When a request was answered: between two moments, and exactly when, once an answer has shown it."""

    def __init__(self, begun: datetime, ended: datetime) -> None:
        self.begun, self.ended = begun, ended
        self._text: str | None = None

    def is_shown_as(self, text: Any) -> bool:
        if not isinstance(text, str) or MOMENT.fullmatch(text) is None:
            return False
        # Milliseconds are cut off.
        begun = self.begun - timedelta(milliseconds=1)
        if self._text is None and begun <= datetime.fromisoformat(text) <= self.ended:
            self._text = text
        return self._text == text


class Membership:
    """A membership's id, which is seen in ETags alone: any that no other one had, until an answer has shown it."""

    def __init__(self, seen: dict[str, "Membership"]) -> None:
        self._seen = seen

    def is_shown_as(self, id: str) -> bool:
        return self._seen.setdefault(id, self) is self and str(self) == id

    @property
    def is_known(self) -> bool:
        return self in self._seen.values()

    def __str__(self) -> str:
        return next((id for id, one in self._seen.items() if one is self), "unknown")


@dataclass(frozen=True)
class Person:
    id: str
    tenant: str
    name: str
    email: str
    roles: Mapping[str, str]


@dataclass(frozen=True)
class Call:
    """A request. `item` is a record's id or a member; `after` is the id behind which a page starts."""

    route: str
    by: str = "owner"
    space: str = ""
    project: str = ""
    item: str = ""
    note: str = ""
    query: Mapping[str, Any] = field(default_factory=dict)
    after: str | None = None
    body: Mapping[str, Any] | None = None
    if_match: str | None = None
    key: str | None = None

    @property
    def asked(self) -> tuple[Any, ...]:
        """All that makes it another request under the same key."""
        return self.space, self.project, self.item, self.note, self.query, self.body


@dataclass(frozen=True)
class Expected:
    """An answer. `etag` is what stands in the quotes, in front of it the `membership` of which it is a version; `more`
    is the id behind which the list goes on; a `confirms` shows no data."""

    status: int
    body: Any = None
    etag: str | None = None
    membership: Membership | None = None
    more: str | None = None
    confirms: bool = False
    replayed: bool = False


@dataclass(eq=False)
class Refused(Exception):
    """`field` and `type` are those of a 422's detail; `flat` is the flat dialect's status where it has its own."""

    status: int
    message: str
    flat: int | None = None
    at: tuple[str, ...] = ()
    type: str = ""

    def seen_by(self, route: str) -> Expected:
        loc = [*self.at[:-1], spelled(route, self.at[-1])] if self.at else []
        if is_v1(route):
            detail = [{"loc": loc, "msg": self.message, "type": self.type}] if loc else self.message
            return Expected(self.status, {"detail": detail})
        message = FLAT_WORDS.get(self.message, self.message)
        return Expected(self.flat or self.status, {"error": f"{loc[-1]}: {message}" if loc else message})


def invalid(name: str, message: str, type: str) -> Refused:
    return Refused(422, message, 400, ("body", name), type)


def not_found(what: str) -> Refused:
    return Refused(404, f"{what} not found.")


NO_PROJECT = Refused(403, "You do not have access to this project.")
NO_SPACE = Refused(403, "You do not have access to this space.")
NOT_RECORDS = Refused(403, "You may not change the records of this project.")
NOT_MEMBERS = Refused(403, "You may not manage the members of this project.")
ARCHIVED = Refused(409, "The project is archived. Set its status to active first.")
NAMED_MANAGER = Refused(409, "This member is the project's manager. Hand the project over first: PATCH its manager_id.")
TWICE = Refused(409, "The principal is a member of the project already.", 400)
# What flat clients can do about it is another thing, or has another name.
FLAT_WORDS = {
    ARCHIVED.message: "The project is archived: it can be read and deleted, but not changed.",
    NAMED_MANAGER.message: "This user is the project's manager, who cannot be removed.",
    TWICE.message: "This user is a member of the project already.",
}
NOT_YET = Refused(412, "If-Match names a version, and what is not there yet has none. Leave it out.")
STALE = Refused(412, "If-Match names another version than the current one. Read it again.")
REUSED = Refused(
    422,
    "This Idempotency-Key was used for another request. Send a new one.",
    400,
    ("header", "Idempotency-Key"),
    "idempotency_key_reused",
)


def require(holds: object, otherwise: Refused) -> None:
    if not holds:
        raise otherwise


@dataclass
class Member:
    id: Membership
    role: str
    created_at: Moment
    updated_at: Moment
    version: int = 1


@dataclass
class Note:
    id: str
    content: str
    created_by: str
    created_at: Moment


@dataclass
class Record:
    kind: str
    id: str
    fields: dict[str, Any]
    created_by: str
    created_at: Moment
    updated_at: Moment
    version: int = 1
    notes: dict[str, Note] = field(default_factory=dict)
    note_changes: int = 0


@dataclass
class Project:
    """`version` counts changes of its own fields, `sequence` all changes of it or below it; `event` is the last."""

    id: str
    space: str
    name: str
    client: str
    description: Any
    manager: str
    created_by: str
    created_at: Moment
    updated_at: Moment
    status: str = "active"
    version: int = 1
    sequence: int = 0
    event: dict[str, Any] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    records: dict[str, dict[str, Record]] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    @property
    def summary(self) -> str:
        shown = self.description.get("summary") if isinstance(self.description, dict) else self.description
        return shown if isinstance(shown, str) else ""

    @property
    def is_archived(self) -> bool:
        return self.status == "archived"


@dataclass(frozen=True)
class _Kept:
    """What is remembered of a request with an Idempotency-Key."""

    asked: tuple[Any, ...]
    answer: Expected
    until: datetime


class Model:
    """`spaces` are the ids of spaces, `roles` those of roles. `changed` is the project that the last request changed,
    `settled` whether its answer is kept under its key: it is too when there was nothing to change. `deleted` are the
    projects that are not purged yet."""

    def __init__(self, people: Mapping[str, Person], spaces: Mapping[str, str], roles: Mapping[str, str]) -> None:
        self.people, self.spaces, self.roles = people, spaces, roles
        self.projects: dict[str, Project] = {}
        self.deleted: dict[str, Project] = {}
        self.changed: Project | None = None
        self.settled = False
        self._kept: dict[tuple[str, str, str], _Kept] = {}
        self._memberships: dict[str, Membership] = {}

    def answer(self, call: Call, fresh: str, now: Moment) -> Expected:
        """The answer to a request, which is done. `fresh` is the id of what it creates."""
        self.call, self.fresh, self.now = call, fresh, now
        self.me = self.people[call.by]
        self.v1 = is_v1(call.route)
        self.body = dict(call.body or {})
        self.changed = None
        self.settled = False
        self._met: _Kept | None = None
        try:
            self._judge_body()
            self._meet()
            expected = OPERATIONS[call.route](self)
        except _Replay as replay:
            return replace(replay.kept.answer, replayed=True)
        except Refused as refusal:
            return refusal.seen_by(call.route)
        if self.settled and call.key:
            self._kept[call.by, call.route, call.key] = _Kept(call.asked, expected, now.begun + timedelta(days=30))
        return expected

    def version(self, call: Call, before: int = 0) -> str:
        """What an ETag says now of what the request is about, or so many versions before."""
        project = self.projects.get(call.project)
        if project is None:
            return _tag(call.route, 0)
        if not call.item:
            return _tag(call.route, (project.version if is_v1(call.route) else project.sequence) - before)
        if member := project.members.get(call.item):
            return _tag(call.route, f"{member.id}-{member.version - before}")
        if call.note:
            return _tag(call.route, 1 - before)
        found = next((records[call.item] for records in project.records.values() if call.item in records), None)
        return _tag(call.route, _version_of(call.route, found, before) if found else 0)

    # ------------------------------------------------------------ what every request goes through

    def _judge_body(self) -> None:
        """What is wrong with a body, whatever the state: one thing at a time."""
        route, body = self.call.route, self.body
        if self.call.body is None:
            return
        is_change = route.startswith("V1Update") and route not in REQUIRED
        require(body or not is_change, Refused(422, "Give at least one field to change", 400, ("body",), "missing"))
        for name in REQUIRED.get(route, ()):
            require(name in body, invalid(name, "Field required", "missing"))
        for name, value in body.items():
            if name in NOT_BLANK and (route, name) not in _JUDGED_LATE and isinstance(value, str):
                require(value.strip(), invalid(name, "Must not be empty", "string_too_short"))
            if name == "phase":
                *some, last = (f"'{phase}'" for phase in PHASES)
                message = f"Input should be {', '.join(some)} or {last}"
                require(value in PHASES, invalid(name, message, "literal_error"))
        if self.v1 and "colour" in body:
            known = ", ".join(sorted(spelled(route, name) for name in KNOWN[route]))
            raise invalid("colour", f"Unknown field. Known: {known}", "extra_forbidden")
        body.pop("colour", None)

    def _meet(self) -> None:
        """An Idempotency-Key is its sender's, for one route and thirty days. What confirms is replayed to whoever sent
        it; what shows data, where `_replay` says that it may be read now."""
        kept = self._kept.get((self.call.by, self.call.route, self.call.key or ""))
        if kept and kept.until > self.now.begun:
            require(kept.asked == self.call.asked, REUSED)
            self._met = kept
            if kept.answer.confirms:
                self._replay()

    def _replay(self) -> None:
        if self._met:
            raise _Replay(self._met)

    def _role_in(self, space: str) -> int:
        return _rank(self.me.roles.get(space))

    def _open(self) -> tuple[Project, int]:
        """The project, and the caller's rank in it: the stronger of its role there and its role in the space."""
        project = self.projects.get(self.call.project)
        if project is None or project.space.partition("/")[0] != self.me.tenant:
            raise not_found("Project")
        require(not self.v1 or self.call.space == project.space, not_found("Project"))
        mine = project.members.get(self.call.by)
        return project, max(_rank(mine.role if mine else None), self._role_in(project.space))

    def _open_to(self, permission: str, otherwise: Refused, replays: bool = False) -> Project:
        project, rank = self._open()
        require(rank, NO_PROJECT)
        if replays:
            self._replay()
        require(_may(rank, permission), otherwise)
        return project

    def _match(self, version: object) -> None:
        require(self.call.if_match in (None, "*", f'"{_tag(self.call.route, version)}"'), STALE)

    def _match_nothing(self) -> None:
        """What is created has no version yet, whichever If-Match names."""
        require(self.call.if_match is None, NOT_YET)

    def _match_member(self, member: Member) -> None:
        """A version of a membership of which no answer has told cannot be named. Flat answers tell of none."""
        self._match(f"{member.id}-{member.version}" if member.id.is_known and self.v1 else None)

    def _commit(
        self, project: Project, type: str, resource: dict[str, Any], changed: Iterable[str] | None = None
    ) -> None:
        """One change is one event, and one more in the project's sequence."""
        project.sequence += 1
        project.event = {"type": type, "time": self.now, "by": self.call.by, "resource": resource}
        if changed is not None:
            project.event["changed"] = sorted(changed)
        self.changed = project
        self.settled = True

    def _page(self, ids: Iterable[str], default: int) -> tuple[list[str], str | None]:
        """The next ids in their order, and the last one if there are more."""
        left = sorted(id for id in ids if id > (self.call.after or ""))
        page = left[: self.call.query.get("limit", default)]
        return page, page[-1] if len(left) > len(page) else None

    def _listed(self, views: list[Any], more: str | None) -> Expected:
        if not self.v1:
            return Expected(200, views, more=more)
        return Expected(200, {"data": views, "meta": {"has_more": more is not None, "next_cursor": more}}, more=more)

    def _done(self, message: str) -> Expected:
        return Expected(204, confirms=True) if self.v1 else Expected(200, {"message": message}, confirms=True)

    # ------------------------------------------------------------ projects

    def me_(self) -> Expected:
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
            {"id": self.roles[role], "key": role, "permissions": [p for p in PERMISSIONS if _may(_rank(role), p)]}
            for role in ROLES
        ]
        return self._listed(shown, None)

    def list_projects(self) -> Expected:
        """Every project that the caller can read, whole. One that is deleted leaves a gap for its members until it is
        purged."""
        readable = [id for id, project in self.projects.items() if project.space in self.me.roles]
        page, more = self._page({*readable, *self._joined()}, 1000)
        return self._listed([self._flat_project(self.projects[id]) for id in page if id in self.projects], more)

    def list_space(self) -> Expected:
        """All projects of the space for whoever has a role in it, for others those they are a member of."""
        space = self.call.space
        require(self._is_here(space), not_found("Space"))
        if space in self.me.roles:
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
        may_create = _may(self._role_in(space), "project:create")
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
        """Own fields, archiving and handing over. The heir's role becomes manager."""
        project = self._open_to("project:read", NO_PROJECT, replays=True)
        _, rank = self._open()
        heir = self.body.get("manager")
        own = self.body.keys() - {"manager"}
        require(not own or _may(rank, "project:update"), Refused(403, "You may not change this project."))
        may_transfer = _may(rank, "project:transfer")
        require(not heir or may_transfer, Refused(403, "You may not hand this project over."))
        self._match(project.version)
        if not self._anew(project, self.body):
            return self._shown(project)
        require(not project.is_archived or self.body.get("status") == "active", ARCHIVED)
        if heir and heir != project.manager:
            require(heir in project.members, invalid("manager", "Must be a member of the project", "not_a_member"))
            self._set_role(project.members[heir], "manager")
        return self._change_project(project, self.body)

    def revise_project(self) -> Expected:
        """The flat dialect's update. What equals the current value is left as it is stored."""
        project, rank = self._open()
        if rank:
            self._replay()
        require(rank >= _rank("manager"), Refused(403, "Only the project manager can update this project."))
        self._match(project.sequence)
        client, text = self.body["client"].strip(), self.body["description"]
        is_new = text != project.summary or self._anew(project, {"name": self.body["name"], "client": client})
        if not is_new:
            self.settled = True
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
        """An archived project can be deleted too."""
        project, rank = self._open()
        if self.v1:
            require(rank, NO_PROJECT)
        message = "You may not delete this project." if self.v1 else "Only the project manager can delete this project."
        require(_may(rank, "project:delete"), Refused(403, message))
        self._match(project.version if self.v1 else project.sequence)
        self._commit(project, "project.deleted", self._v1_project(project))
        self.deleted[project.id] = self.projects.pop(project.id)
        return self._done("Project deleted successfully.")

    def _anew(self, project: Project, changes: dict[str, Any]) -> dict[str, Any]:
        """What changes something: the rest leaves even the version as it is."""
        stripped = {name: value.strip() if name == "name" else value for name, value in changes.items()}
        self.settled = not (anew := {n: value for n, value in stripped.items() if value != getattr(project, n)})
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
        """Whose member the caller is; of deleted ones too, until they are purged."""
        return [id for id, project in {**self.projects, **self.deleted}.items() if self.call.by in project.members]

    def _is_here(self, space: str) -> bool:
        return space in self.spaces and space.partition("/")[0] == self.me.tenant

    # ------------------------------------------------------------ members

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
        """Whoever is added to a team becomes a contributor."""
        project = self._open_to("member:manage", NOT_MEMBERS, replays=True)
        name = self.body["principal"]
        role = self._granted() if self.v1 else "contributor"
        self._match_nothing()
        require(not project.is_archived, ARCHIVED)
        is_known = name in self.people and self.people[name].tenant == self.me.tenant
        require(is_known, invalid("principal", "No such principal", "unknown_principal"))
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
            self.settled = True
            return self._shown_member(project, self.call.item)
        require(not project.is_archived, ARCHIVED)
        require(role == "manager" or project.manager != self.call.item, NAMED_MANAGER)
        self._set_role(member, role)
        self._commit(project, "member.role_changed", self._member(project, self.call.item), ["role_id"])
        return self._shown_member(project, self.call.item)

    def remove_member(self) -> Expected:
        """Everybody may leave. Its tasks stay assigned to it."""
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
        """By the beginning of an e-mail address or of a word of a name: everybody for a manager of the project's space,
        for others who shares a space with them."""
        project = self._open_to("member:manage", NOT_MEMBERS)
        sees_all = self._role_in(project.space) >= _rank("manager")
        text = self.call.query["q"]
        found = [
            name
            for name in self._colleagues()
            if (sees_all or self.me.roles.keys() & self.people[name].roles.keys())
            if f" {text}" in f" {self.people[name].name.lower()}" or self.people[name].email.startswith(text)
        ]
        return self._listed(
            [self._person(name) for name in sorted(found, key=lambda name: self.people[name].email)], None
        )

    def _granted(self) -> str:
        unknown = invalid("role", "No such role of projects. See GET /v1/roles", "unknown_role")
        require(self.body["role"] in ROLES[:3], unknown)
        return str(self.body["role"])

    def _set_role(self, member: Member, role: str) -> None:
        member.role, member.updated_at, member.version = role, self.now, member.version + 1

    def _the_member(self, project: Project) -> Member:
        require(self.call.item in project.members, not_found("Member"))
        return project.members[self.call.item]

    def _shown_member(self, project: Project, name: str, status: int = 200) -> Expected:
        member = project.members[name]
        return Expected(status, self._member(project, name), etag=str(member.version), membership=member.id)

    def _team(self, project: Project) -> list[str]:
        return sorted(project.members.keys() - {project.manager}, key=lambda name: self.people[name].id)

    def _colleagues(self) -> list[str]:
        return [name for name, person in self.people.items() if person.tenant == self.me.tenant]

    # ------------------------------------------------------------ records

    def list_records(self, kind: str) -> Expected:
        project = self._open_to("project:read", NO_PROJECT)
        page, more = self._page(project.records[kind], 20 if self.v1 else 1000)
        found = [project.records[kind][id] for id in page]
        wanted = self.call.query.get("phase")
        return self._listed(
            [self._record(project, one) for one in found if wanted in (None, one.fields["phase"])], more
        )

    def get_record(self, kind: str) -> Expected:
        project = self._open_to("project:read", NO_PROJECT)
        record = self._the_record(project, kind)
        notes = {"notes": self._notes(record)} if not self.v1 else {}
        return Expected(200, self._record(project, record) | notes, etag=self._record_tag(record))

    def create_record(self, kind: str) -> Expected:
        project = self._open_to("record:write", NOT_RECORDS, replays=True)
        self._match_nothing()
        require(not project.is_archived, ARCHIVED)
        self._require_assignee(project, None)
        required, others = KINDS[kind]
        fields = {name: self.body.get(name, others.get(name)) for name in (*required, *others)}
        record = Record(kind, self.fresh, {}, self.call.by, self.now, self.now)
        if kind == "task":
            record.fields = {"status": "pending", "started_at": None, "finished_at": None, "completed_by": []}
        record.fields |= self._next(record, fields)
        project.records[kind][record.id] = record
        self._commit(project, f"{kind}.created", self._v1_record(project, record))
        return Expected(201, self._record(project, record), etag=self._record_tag(record))

    def update_record(self, kind: str, changes: Callable[[Record], dict[str, Any]] | None = None) -> Expected:
        project = self._open_to("record:write", NOT_RECORDS, replays=True)
        record = self._the_record(project, kind)
        self._match(_version_of(self.call.route, record))
        following = self._next(record, changes(record) if changes else self.body)
        changed = [name for name, value in following.items() if value != record.fields[name]]
        if not changed:
            self.settled = True
            return Expected(200, self._record(project, record), etag=self._record_tag(record))
        require(not project.is_archived, ARCHIVED)
        self._require_assignee(project, record)
        record.fields |= following
        record.version += 1
        record.updated_at = self.now
        self._commit(project, f"{kind}.updated", self._v1_record(project, record), changed)
        return Expected(200, self._record(project, record), etag=self._record_tag(record))

    def delete_record(self, kind: str) -> Expected:
        project = self._open_to("record:write", NOT_RECORDS)
        record = self._the_record(project, kind)
        self._match(_version_of(self.call.route, record))
        require(not project.is_archived, ARCHIVED)
        self._commit(project, f"{kind}.deleted", self._v1_record(project, record))
        del project.records[kind][record.id]
        return self._done(f"{kind.title()} deleted successfully.")

    def toggle_completed(self) -> Expected:
        return self.update_record("task", lambda task: {"completed": not task.fields["completed"]})

    def reassign(self) -> Expected:
        answer = self.update_record("task")
        return Expected(200, {"message": "Task reassigned successfully.", "task": answer.body})

    def report(self) -> Expected:
        """A task in work that nobody has touched for more than seven days is stalled."""
        project = self._open_to("project:read", NO_PROJECT)
        shown = {f"{kind}s": [project.records[kind][id] for id in sorted(project.records[kind])] for kind in KINDS}
        shown["stalledTasks"] = [
            task
            for task in shown["tasks"]
            if task.fields["status"] in STALLED and self.now.begun - task.updated_at.begun > timedelta(days=7)
        ]
        return Expected(200, {name: [self._record(project, one) for one in found] for name, found in shown.items()})

    def _require_assignee(self, project: Project, before: Record | None) -> None:
        """Nobody is assigned anew who is not a member."""
        name = self.body.get("assigned_to")
        is_new = name and (before is None or before.fields.get("assigned_to") != name)
        not_there = invalid("assigned_to", "Must be a member of the project", "not_a_member")
        require(not is_new or name in project.members, not_there)

    def _next(self, record: Record, changes: dict[str, Any]) -> dict[str, Any]:
        """The changes as they are kept, and what follows from them."""
        following = {name: _kept_as(name, value) for name, value in changes.items()}
        status, before = following.get("status"), record.fields.get("status")
        if status in (None, before):
            return following
        entry = {"principal": self.call.by, "status": status, "at": self.now}
        return following | {
            "started_at": record.fields["started_at"] or (self.now if before == "pending" else None),
            "finished_at": self.now if status == "completed" else None,
            "completed_by": [*record.fields["completed_by"], entry],
        }

    def _the_record(self, project: Project, kind: str) -> Record:
        require(self.call.item in project.records[kind], not_found(kind.title()))
        return project.records[kind][self.call.item]

    # ------------------------------------------------------------ notes

    def list_notes(self) -> Expected:
        task = self._the_record(self._open_to("project:read", NO_PROJECT), "task")
        page, more = self._page(task.notes, 1000)
        return self._listed([self._note(task, task.notes[id]) for id in page], more)

    def add_note(self) -> Expected:
        project = self._open_to("record:write", NOT_RECORDS, replays=True)
        task = self._the_record(project, "task")
        self._match_nothing()
        require(not project.is_archived, ARCHIVED)
        note = Note(self.fresh, self.body["content"], self.call.by, self.now)
        task.notes[note.id] = note
        task.note_changes += 1
        self._commit(project, "note.created", self._v1_note(project, task, note))
        return Expected(201, self._note(task, note), etag=self._tag(1))

    def delete_note(self) -> Expected:
        """Its author's alone to do, as long as it may write."""
        project, rank = self._open()
        require(rank, NO_PROJECT)
        task = self._the_record(project, "task")
        require(self.call.note in task.notes, not_found("Note"))
        require(_may(rank, "record:write"), NOT_RECORDS)
        note = task.notes[self.call.note]
        require(note.created_by == self.call.by, Refused(403, "Only its author can delete a note."))
        self._match(1)
        require(not project.is_archived, ARCHIVED)
        self._commit(project, "note.deleted", self._v1_note(project, task, note))
        del task.notes[note.id]
        task.note_changes += 1
        return self._done("Note deleted successfully.")

    # ------------------------------------------------------------ how things look

    def _shown(self, project: Project, status: int = 200) -> Expected:
        if self.v1:
            return Expected(status, self._v1_project(project), etag=self._tag(project.version))
        return Expected(status, self._flat_project(project), etag=self._tag(project.sequence))

    def _tag(self, version: object) -> str:
        return _tag(self.call.route, version)

    def _record_tag(self, record: Record) -> str:
        return self._tag(_version_of(self.call.route, record))

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
        fields = {_camel(name): value for name, value in record.fields.items()}
        if record.kind == "task":
            fields["assignedTo"] = fields["assignedTo"] and self.people[fields["assignedTo"]].id
            fields["completedBy"] = [
                {"user": self.people[entry["principal"]].id, "status": entry["status"], "at": entry["at"]}
                for entry in fields["completedBy"]
            ]
            # A day is shown as its midnight.
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
        """Its form in events."""
        return {
            "id": v1_id(note.id),
            "tenant_id": self._where(project)["tenant_id"],
            "project_id": v1_id(project.id),
            "task_id": v1_id(task.id),
            "content": note.content,
            "created_by": self._uuid(note.created_by),
            "created_at": note.created_at,
        }


class _Replay(Exception):
    def __init__(self, kept: _Kept) -> None:
        self.kept = kept


def _tag(route: str, version: object) -> str:
    return f"{'v' if is_v1(route) else 'f'}-{version}"


def _version_of(route: str, record: Record, before: int = 0) -> str:
    """A flat task shows its notes too."""
    notes = f"-{record.note_changes}" if record.kind == "task" and not is_v1(route) else ""
    return f"{record.version - before}{notes}"


def _rank(role: str | None) -> int:
    return ROLES.index(role) + 1 if role else 0


def _may(rank: int, permission: str) -> bool:
    return rank >= _rank(PERMISSIONS[permission])


def _kept_as(name: str, value: Any) -> Any:
    if name == "name":
        return value.strip()
    if name == "acquisition_date" and value:
        return f"{value}T00:00:00.000Z"
    return value or None if name == "assigned_to" else value


# What each route does.
OPERATIONS: dict[str, Callable[[Model], Expected]] = {
    "V1GetMe": Model.me_,
    "V1ListRoles": Model.list_roles,
    "ListProjects": Model.list_projects,
    "V1ListProjects": Model.list_space,
    "CreateProject": Model.create_project,
    "V1CreateProject": Model.create_project,
    "GetProject": Model.get_project,
    "V1GetProject": Model.get_project,
    "UpdateProject": Model.revise_project,
    "V1UpdateProject": Model.update_project,
    "DeleteProject": Model.delete_project,
    "V1DeleteProject": Model.delete_project,
    "V1ListMembers": Model.list_members,
    "V1GetMember": Model.get_member,
    "V1AddMember": Model.add_member,
    "V1UpdateMember": Model.set_role,
    "V1RemoveMember": Model.remove_member,
    "ListTeam": Model.list_team,
    "AddTeamMember": Model.add_member,
    "RemoveTeamMember": Model.remove_member,
    "FindTeamMember": Model.find_person,
    "SearchTeam": Model.search_people,
    "GetReport": Model.report,
    "GetTask": partial(Model.get_record, kind="task"),
    "UpdateTask": partial(Model.update_record, kind="task"),
    "SetTaskStatus": partial(Model.update_record, kind="task"),
    "SetTaskPhase": partial(Model.update_record, kind="task"),
    "ToggleTaskCompleted": Model.toggle_completed,
    "ReassignTask": Model.reassign,
    "ListTaskNotes": Model.list_notes,
    "AddTaskNote": Model.add_note,
    "DeleteTaskNote": Model.delete_note,
}
for _kind in KINDS:
    _title = _kind.title()
    OPERATIONS |= {
        **{f"{dialect}List{_title}s": partial(Model.list_records, kind=_kind) for dialect in ("", "V1")},
        **{f"{dialect}Create{_title}": partial(Model.create_record, kind=_kind) for dialect in ("", "V1")},
        **{f"{dialect}Delete{_title}": partial(Model.delete_record, kind=_kind) for dialect in ("", "V1")},
        f"V1Get{_title}": partial(Model.get_record, kind=_kind),
        f"V1Update{_title}": partial(Model.update_record, kind=_kind),
    }
