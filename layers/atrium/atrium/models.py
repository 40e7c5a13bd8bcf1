"""Atrium's things, as values: how they are kept is `store`'s, how they are shown is `api`'s.

A value that has no subclasses and is not stored field by field is a NamedTuple: a cold start makes its class in a
twentieth of a dataclass's time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from atrium.documents import Raw
from atrium.ids import milliseconds_of, to_uuid
from atrium.permissions import Permission, Role, TenantRole, in_order

Status = Literal["active", "archived"]
Phase = Literal["business", "data_understanding", "data_preparation", "modeling", "evaluation", "deployment"]
TaskStatus = Literal["pending", "onHold", "inProgress", "underReview", "completed"]
Priority = Literal["high", "medium", "low"]
PrincipalKind = Literal["user", "service"]
# The kind of a caller that is no principal: one who may invoke an operator's function.
OPERATOR = "operator"
PrincipalStatus = Literal["active", "suspended"]
# The status of a principal that may call.
ACTIVE: PrincipalStatus = "active"
T = TypeVar("T")


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_of(id: str) -> str:
    """The moment of an id, as a timestamp."""
    seconds, milliseconds = divmod(milliseconds_of(id), 1000)
    return timestamp(datetime.fromtimestamp(seconds, UTC).replace(microsecond=milliseconds * 1000))


class Narrowing(NamedTuple):
    """To what a credential is narrowed: these permissions, in these spaces, and in these projects. None is every one.

    A credential with spaces or projects has nothing to do with the tenant, and one with projects nothing with what is
    outside of them: not even the list of their space.
    """

    permissions: frozenset[Permission] | None = None
    spaces: frozenset[str] | None = None
    projects: frozenset[str] | None = None

    def within(self, space: str | None, project: str | None) -> frozenset[Permission] | None:
        """The permissions that are left in a project of a space; in a space, without a project; or in the tenant. None
        for every one."""
        is_outside = (self.spaces is not None and space not in self.spaces) or (
            self.projects is not None and project not in self.projects
        )
        return frozenset() if is_outside else self.permissions

    def lists(self) -> dict[str, list[str]]:
        """What it is narrowed to, by name, without what is every one."""
        return {name: sorted(ids) for name, ids in self._asdict().items() if ids is not None}

    @classmethod
    def of(cls, lists: Mapping[str, Sequence[Any]]) -> "Narrowing":
        return cls(**{name: frozenset(lists[name]) for name in cls._fields if name in lists})

    def covers(self, other: "Narrowing | None") -> bool:
        """Whether a credential that is narrowed to the other is no wider than one that is narrowed to this."""
        return not self.passed_by(other or Narrowing())

    def passed_by(self, other: "Narrowing") -> list[str]:
        """The parts in which the other is wider than this."""
        return [
            part
            for part, most, asked in zip(self._fields, self, other, strict=True)
            if most is not None and (asked is None or not asked <= most)
        ]

    def resource(self) -> dict[str, list[str] | None]:
        """The form that clients see."""

        def shown(ids: frozenset[str] | None) -> list[str] | None:
            return None if ids is None else [to_uuid(id) for id in sorted(ids)]

        permissions = None if self.permissions is None else in_order(self.permissions)
        return {"permissions": permissions, "space_ids": shown(self.spaces), "project_ids": shown(self.projects)}


# A credential that is narrowed so enrols a person: it says whom it is for, and may be rotated. After that it is whole.
ENROLS = Narrowing(permissions=frozenset())


class Issuer(NamedTuple):
    """The credential that made another one, and its principal."""

    principal: str
    credential: str

    def resource(self) -> dict[str, str]:
        """The form that clients see."""
        return {"principal_id": to_uuid(self.principal), "credential_id": to_uuid(self.credential)}


class Caller(NamedTuple):
    """Who is asking, as the authorizer said. `kind` is `user`, `service` or OPERATOR; `credential` is the id of the
    credential that was sent, None where a function acts for a principal; `narrowed` says what it is limited to, and
    `issued_by` what made it, None for one that an operator made."""

    tenant: str
    principal: str
    kind: str
    credential: str | None = None
    narrowed: Narrowing | None = None
    issued_by: Issuer | None = None


@dataclass(frozen=True)
class Event:
    """A change, as the ledger keeps it.

    Its root is its project, or else its principal, its space, or its tenant; `sequence` is its number among the changes
    of the root, None until it is published. `actor`, `actor_kind` and `credential` say who made it, and `issued_by`
    names the maker of that credential; an `operator`, who invokes a function, is no principal. `request` is the id of
    the request. `resource` is JSON text: what was changed, after the change or before its deletion, without the fields
    that `omitted` names; null once an operator has erased it. `changed` are the names of the fields with a new value,
    None for what is not an update.
    """

    id: str
    tenant: str
    type: str
    actor_kind: str
    resource: str
    space: str | None = None
    project: str | None = None
    principal: str | None = None
    actor: str | None = None
    credential: str | None = None
    issued_by: Issuer | None = None
    request: str | None = None
    changed: tuple[str, ...] | None = None
    omitted: tuple[str, ...] = ()
    sequence: int | None = None

    @property
    def time(self) -> str:
        """The moment of the change, which its id has."""
        return moment_of(self.id)

    def detail(self) -> dict[str, Any]:
        """The form that consumers see, on the bus and in the list of events, to be rendered with `documents`."""
        return {
            "id": to_uuid(self.id),
            "type": self.type,
            "time": self.time,
            "tenant_id": to_uuid(self.tenant),
            **{f"{kind}_id": to_uuid(id) for kind in ("space", "project", "principal") if (id := getattr(self, kind))},
            **({"sequence": self.sequence} if self.sequence is not None else {}),
            "request_id": self.request,
            "actor": {
                "principal_id": self.actor and to_uuid(self.actor),
                "kind": self.actor_kind,
                "credential_id": self.credential and to_uuid(self.credential),
                "issued_by": self.issued_by and self.issued_by.resource(),
            },
            "resource": Raw(self.resource),
            **({"changed": self.changed} if self.changed is not None else {}),
            **({"omitted": self.omitted} if self.omitted else {}),
        }


@dataclass(frozen=True)
class ProjectRow:
    """A project as its space lists it: without its description, which may be 32 KB."""

    id: str
    tenant: str
    space: str
    name: str
    manager: str
    created_by: str
    status: Status
    created_at: str
    updated_at: str

    def resource(self) -> dict[str, Any]:
        """The form that events carry."""
        return {
            "id": to_uuid(self.id),
            "tenant_id": to_uuid(self.tenant),
            "space_id": to_uuid(self.space),
            "name": self.name,
            "manager_id": to_uuid(self.manager),
            "created_by": to_uuid(self.created_by),
            "status": self.status,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


@dataclass(frozen=True)
class Project(ProjectRow):
    """A project's own fields. `description` is JSON text; `version` counts changes of these fields, `sequence` every
    change of the project or below it, `members` its members. `is_childless` is
    true until the first task, or the first member besides its manager, is added, and never again. `last_events` are
    the ids of the events of its latest change."""

    client: str
    description: str
    version: int
    sequence: int
    members: int
    last_events: Sequence[str]
    is_childless: bool = False

    def resource(self) -> dict[str, Any]:
        """The form that events carry."""
        return {**super().resource(), "description": Raw(self.description)}


class ShownTask(NamedTuple):
    """A task as its project shows it."""

    id: str
    name: str
    status: TaskStatus


class WholeProject(NamedTuple):
    """A project with the members other than its named manager, and its first tasks. `after` is the last one's id if
    there are more."""

    project: Project
    team: tuple[str, ...]
    tasks: tuple[ShownTask, ...]
    after: str | None = None

    @property
    def id(self) -> str:
        return self.project.id


@dataclass(frozen=True)
class Membership:
    """A role that a principal has in one place. `membership` is its own id: a principal who is removed and added again
    has another one."""

    membership: str
    tenant: str
    principal: str
    role: Role
    created_at: str
    updated_at: str
    version: int

    @property
    def id(self) -> str:
        """By which the list of its place is in order."""
        return self.principal

    @property
    def tag(self) -> str:
        """Its version, which never comes again under the same principal."""
        return f"{self.membership}-{self.version}"


@dataclass(frozen=True)
class Member(Membership):
    """A member of a project."""

    project: str

    def resource(self) -> dict[str, Any]:
        """The form that events carry."""
        return {
            "tenant_id": to_uuid(self.tenant),
            "project_id": to_uuid(self.project),
            "principal_id": to_uuid(self.principal),
            "role_id": self.role.uuid,
            "status": "active",
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


@dataclass(frozen=True)
class SpaceMember(Membership):
    """A member of a space."""

    space: str

    def resource(self) -> dict[str, Any]:
        """The form that clients see."""
        return {
            "tenant_id": to_uuid(self.tenant),
            "space_id": to_uuid(self.space),
            "principal_id": to_uuid(self.principal),
            "role_id": self.role.uuid,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


class Who(NamedTuple):
    """A principal as a request names it: by its id, or else by its e-mail address."""

    principal: str | None
    email: str | None = None


@dataclass(frozen=True)
class Record:
    """What hangs below a project. A subclass is a kind, its own attributes the fields of the kind."""

    kind: ClassVar[str]

    id: str
    tenant: str
    space: str
    project: str
    created_by: str
    created_at: str
    updated_at: str
    version: int

    @property
    def whole_version(self) -> str:
        """The version of the record together with all that is shown with it."""
        return str(self.version)

    def fields(self) -> dict[str, Any]:
        """The kind's own fields, as they are stored."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _OF_EVERY_RECORD}

    def resource(self) -> dict[str, Any]:
        """The form that events carry."""
        return {
            "id": to_uuid(self.id),
            "tenant_id": to_uuid(self.tenant),
            "space_id": to_uuid(self.space),
            "project_id": to_uuid(self.project),
            **self.fields(),
            "created_by": to_uuid(self.created_by),
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


_OF_EVERY_RECORD = frozenset(field.name for field in fields(Record))


@dataclass(frozen=True)
class Task(Record):
    """`completed` is a checkbox and has nothing to do with `status`. `started_at` is when the task first left pending,
    `finished_at` when it last became completed, None while it is not. `completed_by` holds the latest changes of the
    status. `estimated_hours` is JSON text of a number, `deadline` a day or a moment. `note_changes` counts what
    happened to the notes, which are no part of the task's own version."""

    kind = "task"

    name: str
    description: str
    phase: Phase
    status: TaskStatus
    completed: bool
    assigned_to: str | None
    estimated_hours: str | None
    priority: Priority | None
    deadline: str | None
    started_at: str | None
    finished_at: str | None
    completed_by: list[dict[str, str]]
    note_changes: int = 0

    @property
    def whole_version(self) -> str:
        return f"{self.version}-{self.note_changes}"

    def fields(self) -> dict[str, Any]:
        return {name: value for name, value in super().fields().items() if name != "note_changes"}

    def resource(self) -> dict[str, Any]:
        return super().resource() | {
            "assigned_to": self.assigned_to and to_uuid(self.assigned_to),
            "estimated_hours": self.hours,
            "completed_by": [
                {"principal_id": to_uuid(entry["principal"]), "status": entry["status"], "at": entry["at"]}
                for entry in self.completed_by
            ],
        }

    @property
    def due(self) -> str | None:
        """The deadline as a moment: a day is its midnight, in UTC."""
        is_day = self.deadline is not None and "T" not in self.deadline
        return f"{self.deadline}T00:00:00.000Z" if is_day else self.deadline

    @property
    def hours(self) -> Raw | None:
        return None if self.estimated_hours is None else Raw(self.estimated_hours)


@dataclass(frozen=True)
class Dataset(Record):
    """`records` is how many the dataset has."""

    kind = "dataset"

    name: str
    source: str
    description: str
    acquisition_date: str
    phase: Phase
    records: int


@dataclass(frozen=True)
class Experiment(Record):
    kind = "experiment"

    name: str
    algorithm_model: str
    parameters: str
    metric: str
    result: str
    conclusion: str
    phase: Phase


@dataclass(frozen=True)
class Decision(Record):
    kind = "decision"

    description: str
    justification: str
    alternatives: str
    phase: Phase


@dataclass(frozen=True)
class Note:
    """A note on a task. It never changes."""

    version: ClassVar[int] = 1

    id: str
    tenant: str
    space: str
    project: str
    task: str
    content: str
    created_by: str
    created_at: str

    def resource(self) -> dict[str, Any]:
        """The form that events carry: without the space, which the event names."""
        return {
            "id": to_uuid(self.id),
            "tenant_id": to_uuid(self.tenant),
            "project_id": to_uuid(self.project),
            "task_id": to_uuid(self.task),
            "content": self.content,
            "created_by": to_uuid(self.created_by),
            "created_at": self.created_at,
        }


class Report(NamedTuple):
    """What a project has, for reading it in one piece. `after` names, for each kind of which there is more, the last
    record shown, or None if none of it is."""

    tasks: tuple[Task, ...]
    datasets: tuple[Dataset, ...]
    experiments: tuple[Experiment, ...]
    decisions: tuple[Decision, ...]
    stalled: tuple[Task, ...]
    after: dict[str, str | None]


class Person(NamedTuple):
    """A principal as the directory knows it."""

    id: str
    name: str
    email: str | None


@dataclass(frozen=True)
class Tenant:
    """An organisation with its spaces and principals."""

    id: str
    name: str
    created_at: str
    updated_at: str
    version: int

    def resource(self) -> dict[str, Any]:
        """The form that clients see."""
        return {
            "id": to_uuid(self.id),
            "name": self.name,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


@dataclass(frozen=True)
class Space:
    """A space holds projects. The default one, for projects made without a named space, has the tenant's id."""

    id: str
    tenant: str
    name: str
    description: str
    created_at: str
    updated_at: str
    version: int

    @property
    def is_default(self) -> bool:
        return self.id == self.tenant

    def resource(self) -> dict[str, Any]:
        """The form that clients see."""
        return {
            "id": to_uuid(self.id),
            "tenant_id": to_uuid(self.tenant),
            "name": self.name,
            "description": self.description,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


class SpaceRole(NamedTuple):
    """A role in a space."""

    space: Space
    role: Role


@dataclass(frozen=True)
class Principal:
    """A person, or a service. `spaces` has the roles in spaces by their ids. A service may have no e-mail address.
    `external_id` is the name that another system of the tenant has for the principal."""

    id: str
    tenant: str
    kind: PrincipalKind
    name: str
    email: str | None
    external_id: str | None
    tenant_role: TenantRole
    status: PrincipalStatus
    spaces: Mapping[str, Role]
    created_at: str
    updated_at: str
    version: int

    def resource(self) -> dict[str, Any]:
        """The form that events carry: nothing by which a person is known."""
        return {
            "id": to_uuid(self.id),
            "tenant_id": to_uuid(self.tenant),
            "kind": self.kind,
            "tenant_role": self.tenant_role.key,
            "status": self.status,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


class Joined(NamedTuple):
    """A project, by its id, in the list of those that a principal is a member of, with the principal's role."""

    id: str
    space: str
    name: str
    role: Role
    is_manager: bool

    def resource(self) -> dict[str, Any]:
        """The form that clients see."""
        return {
            "project_id": to_uuid(self.id),
            "space_id": to_uuid(self.space),
            "name": self.name,
            "role_id": self.role.uuid,
            "is_manager": self.is_manager,
        }


# The kinds of credentials. Clients know a key as an api_key.
CredentialKind = Literal["token", "key", "identity"]
CredentialStatus = Literal["active", "expired", "revoked"]


@dataclass(frozen=True)
class Credential:
    """A credential of a principal, in all its secrets.

    `hint` are the last characters of the newest secret, None where the operator sent a digest, or nothing is secret.
    `issued_by` is None for one that an operator made. One that `enrols` is narrowed to ENROLS until its first rotation,
    and then to `narrowed` and ends at `whole_until`. `issued` counts those that it made.
    """

    id: str
    tenant: str
    principal: str
    kind: CredentialKind
    name: str | None
    hint: str | None
    narrowed: Narrowing | None
    issued_by: Issuer | None
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    version: int = 1
    issued: int = 0
    enrols: bool = False
    whole_until: str | None = None

    @property
    def effective(self) -> Narrowing | None:
        return ENROLS if self.enrols else self.narrowed

    def status(self, now: str) -> CredentialStatus:
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"

    def resource(self) -> dict[str, Any]:
        """The form that events carry: nothing of a secret, and no name."""
        return {
            "id": to_uuid(self.id),
            "tenant_id": to_uuid(self.tenant),
            "principal_id": to_uuid(self.principal),
            "kind": "api_key" if self.kind == "key" else self.kind,
            **(self.narrowed or Narrowing()).resource(),
            "enrol": self.enrols,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
        }


class Held(NamedTuple):
    """A credential as it is now: when one of its secrets was last used, to the hour, and its status."""

    credential: Credential
    last_used_at: str | None
    status: CredentialStatus

    @property
    def id(self) -> str:
        """By which its principal's list is in order."""
        return self.credential.id


class Me(NamedTuple):
    """The caller, with its roles in spaces, in the order of their ids, and the credential that it sent, with what that
    is narrowed to. None for one that is not there any more."""

    principal: Principal
    spaces: tuple[SpaceRole, ...]
    credential: Credential | None
    narrowed: Narrowing | None


class Page(NamedTuple, Generic[T]):
    """A page of a list. `after` is the id that the next page starts behind, None on the last page."""

    items: tuple[T, ...]
    after: str | None
