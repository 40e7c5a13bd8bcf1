"""The rows of spaces, of projects and of what hangs below them: each spelled once, from a value of models and back.

A row holds no part of its key a second time, but for ids by which a list shows it. Keys are spelled in keys.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from atrium import keys
from atrium.ids import from_uuid
from atrium.models import (
    Credential,
    Delivery,
    Event,
    Issuer,
    Member,
    Membership,
    Narrowing,
    Note,
    Person,
    Principal,
    Project,
    ProjectRow,
    Record,
    Recovery,
    Space,
    SpaceMember,
    Task,
    Tenant,
    Webhook,
)
from atrium.permissions import role_named, tenant_role_named
from atrium.store.engine.table import Item

R = TypeVar("R", bound=Record)

# The fields of a project in its space's list. The tenant stands in the key.
_LISTED = tuple(field.name for field in fields(ProjectRow) if field.name != "tenant")

# The attributes of META that are not called like their field of Project.
_STORED_AS = {"is_childless": "bare"}

# The attribute of each field of a project.
_OF_META = {field.name: _STORED_AS.get(field.name, field.name) for field in fields(Project)}

_OF_A_NOTE = ("id", "content", "created_by", "created_at")


def tenant_row(tenant: Tenant) -> Item:
    return dict(vars(tenant))


def to_tenant(row: Item) -> Tenant:
    return Tenant(**{field.name: row[field.name] for field in fields(Tenant)})


def space_row(space: Space) -> Item:
    return {name: value for name, value in vars(space).items() if name != "tenant"}


def to_space(tenant: str, row: Item) -> Space:
    return Space(tenant=tenant, **{field.name: row[field.name] for field in fields(Space) if field.name in row})


def principal_row(principal: Principal) -> Item:
    own = {name: value for name, value in vars(principal).items() if name != "tenant" and value is not None}
    roles = {space: role.key for space, role in principal.spaces.items()}
    return own | {"tenant_role": principal.tenant_role.key, "spaces": roles}


def to_principal(tenant: str, row: Item) -> Principal:
    own: dict[str, Any] = {field.name: row.get(field.name) for field in fields(Principal) if field.name != "tenant"}
    roles = {space: role_named(role) for space, role in row["spaces"].items()}
    return Principal(tenant=tenant, **own | {"tenant_role": tenant_role_named(row["tenant_role"]), "spaces": roles})


def listed_principal_row(principal: Principal) -> Item:
    """The principal in the list of its tenant, with what the list is filtered by."""
    listed = {name: getattr(principal, name) for name in ("id", "kind", "status")}
    return listed | {"tenant_role": principal.tenant_role.key}


def person_row(person: Person) -> Item:
    """The principal in the directory, under its e-mail address and its name."""
    return {"principal": person.id, "name": person.name} | ({"email": person.email} if person.email else {})


def to_person(row: Item) -> Person:
    """A person by a row of the directory, or by the principal's own."""
    return Person(row["principal"] if "principal" in row else row["id"], row["name"], row.get("email"))


def _narrowing(narrowing: Narrowing | None) -> Item:
    return narrowing.lists() if narrowing else {}


def issuer_row(issuer: Issuer | None) -> Item:
    """The attribute that the row of a credential, an event or a tombstone has of what made the credential."""
    return {"issued_by": issuer._asdict()} if issuer else {}


def to_issuer(row: Item) -> Issuer | None:
    return Issuer(**row["issued_by"]) if "issued_by" in row else None


def to_narrowing(row: Item) -> Narrowing | None:
    """The narrowing of a credential, by the row under its digest; None for one that is whole."""
    return Narrowing.of(row) if any(name in row for name in Narrowing._fields) else None


# The attributes of a credential that are stored as they are.
_OF_A_CREDENTIAL = (
    *("id", "kind", "name", "hint", "created_at", "expires_at", "revoked_at"),
    *("version", "issued", "enrols", "whole_until"),
)


def credential_row(credential: Credential) -> Item:
    """The credential in its principal's partition, without its digests."""
    own = {name: getattr(credential, name) for name in _OF_A_CREDENTIAL}
    row = {name: value for name, value in own.items() if value is not None}
    return row | _narrowing(credential.narrowed) | issuer_row(credential.issued_by)


def to_credential(tenant: str, principal: str, row: Item) -> Credential:
    own: dict[str, Any] = {name: row.get(name) for name in _OF_A_CREDENTIAL}
    narrowed, issuer = to_narrowing(row), to_issuer(row)
    return Credential(tenant=tenant, principal=principal, narrowed=narrowed, issued_by=issuer, **own)


def secret_row(credential: Credential, principal_kind: str, now: str) -> Item:
    """The row of a new secret, or of an identity, by which the authorizer finds the credential."""
    row = {
        "id": credential.id,
        "tenant": credential.tenant,
        "principal": credential.principal,
        "principal_kind": principal_kind,
        "kind": credential.kind,
        "created_at": now,
    }
    ends = {} if credential.expires_at is None else {"expires_at": credential.expires_at}
    return row | _narrowing(credential.effective) | issuer_row(credential.issued_by) | ends


def project_row(project: Project) -> Item:
    """META of a project."""
    return {_STORED_AS.get(name, name): value for name, value in vars(project).items()}


def to_project(meta: Item) -> Project:
    return Project(**{name: meta[attribute] for name, attribute in _OF_META.items() if attribute in meta})


def list_row(project: Project) -> Item:
    """The project in its space's list."""
    return {_STORED_AS.get(name, name): getattr(project, name) for name in (*_LISTED, "is_childless")}


def to_listed(tenant: str, row: Item) -> ProjectRow:
    return ProjectRow(tenant=tenant, **{name: row[name] for name in _LISTED})


def joined_row(project: Project) -> Item:
    """The project in the list of those that a principal is a member of."""
    return {"id": project.id, "space": project.space}


def member_row(member: Membership) -> Item:
    """The row of a member, in a project or a space."""
    return {
        "id": member.membership,
        "principal": member.principal,
        "role": member.role.key,
        "created_at": member.created_at,
        "updated_at": member.updated_at,
        "version": member.version,
    }


def to_member(project: Project, row: Item) -> Member:
    return Member(project=project.id, **_of_membership(project.tenant, row))


def to_space_member(tenant: str, space: str, row: Item) -> SpaceMember:
    return SpaceMember(space=space, **_of_membership(tenant, row))


def _of_membership(tenant: str, row: Item) -> dict[str, Any]:
    same = {name: row[name] for name in ("principal", "created_at", "updated_at", "version")}
    return {"membership": row["id"], "tenant": tenant, "role": role_named(row["role"]), **same}


def record_row(record: Record) -> Item:
    return {name: value for name, value in vars(record).items() if name not in ("tenant", "space", "project")}


def to_record(kind: type[R], project: Project, row: Item) -> R:
    own = {field.name: row[field.name] for field in fields(kind) if field.name in row}
    return kind(tenant=project.tenant, space=project.space, project=project.id, **own)


def to_records(kind: type[R], project: Project, rows: Iterable[Item]) -> tuple[R, ...]:
    """Those of the rows that are records of the kind."""
    return tuple(to_record(kind, project, row) for row in rows if row["sk"].startswith(keys.records(kind.kind)))


def note_row(note: Note) -> Item:
    return {name: getattr(note, name) for name in _OF_A_NOTE}


def to_note(task: Task, row: Item) -> Note:
    own = {name: row[name] for name in _OF_A_NOTE}
    return Note(tenant=task.tenant, space=task.space, project=task.project, task=task.id, **own)


def event_row(event: Event) -> Item:
    """An event without its number, which follows from its root and is added when it is published."""
    own = {
        name: value for name, value in vars(event).items() if name not in ("id", "tenant") and value not in (None, ())
    }
    lists = {name: list(own[name]) for name in ("changed", "omitted") if name in own}
    return own | lists | issuer_row(event.issued_by)


def to_event(tenant: str, row: Item) -> Event:
    """An event by its row, or by the copy that lists a late one again: with its own id, not that of its position."""
    own = {field.name: row[field.name] for field in fields(Event) if field.name in row}
    own["issued_by"] = to_issuer(row)
    return Event(id=row["event"] if "event" in row else row["sk"], tenant=tenant, **own)


def webhook_row(webhook: Webhook) -> Item:
    own = {name: value for name, value in vars(webhook).items() if name != "tenant" and value is not None}
    return own | {name: list(own[name]) for name in ("events", "spaces", "projects") if name in own}


def to_webhook(tenant: str, row: Item) -> Webhook:
    own: dict[str, Any] = {field.name: row.get(field.name) for field in fields(Webhook) if field.name != "tenant"}
    lists = {name: tuple(row[name]) for name in ("events", "spaces", "projects") if row.get(name) is not None}
    return Webhook(tenant=tenant, **own | lists)


# The attributes of a delivery, and of a recovery; their other fields stand in the key.
_OF_A_DELIVERY = tuple(name for name in Delivery._fields if name not in ("tenant", "webhook", "event"))
_OF_A_RECOVERY = tuple(name for name in Recovery._fields if name not in ("id", "tenant", "webhook"))


def delivery_row(delivery: Delivery) -> Item:
    own = {name: getattr(delivery, name) for name in _OF_A_DELIVERY}
    return {name: value for name, value in own.items() if value is not None}


def to_delivery(tenant: str, webhook: str, row: Item) -> Delivery:
    own = {name: row[name] for name in _OF_A_DELIVERY if name in row}
    return Delivery(tenant=tenant, webhook=webhook, event=row["sk"].removeprefix(keys.DELIVERY), **own)


def recovery_row(recovery: Recovery) -> Item:
    own = {name: getattr(recovery, name) for name in _OF_A_RECOVERY}
    return {name: value for name, value in own.items() if value is not None}


def to_recovery(tenant: str, webhook: str, row: Item) -> Recovery:
    own: dict[str, Any] = {name: row.get(name) for name in _OF_A_RECOVERY}
    return Recovery(id=row["sk"].rpartition("#")[2], tenant=tenant, webhook=webhook, **own)


def row_of(type: str, resource: Mapping[str, Any], time: str) -> tuple[str, str | None]:
    """The row of a project's partition that an event is about: its sort key, and the moment that the row has of the
    change; None where the change removed the row. Raises KeyError and ValueError for what is no event."""
    kind, _, what = type.partition(".")
    match kind:
        case "project":
            row = keys.META
        case "member":
            row = keys.ROLE + from_uuid(resource["principal_id"])
        case "note":
            row = keys.notes(from_uuid(resource["task_id"])) + from_uuid(resource["id"])
        case _:
            row = keys.records(kind) + from_uuid(resource["id"])
    return row, None if what in ("deleted", "removed") else time
