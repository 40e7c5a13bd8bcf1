"""The state that the model keeps: projects with their members, records and notes."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.model.fields import KINDS, is_v1
from tests.support.client import MOMENT


class Moment:
    """The time of an answer: an interval at first, exact after an answer has shown it."""

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
    """The id of a membership, which only ETags show: unknown at first, then unique."""

    def __init__(self, seen: dict[str, "Membership"]) -> None:
        self._seen = seen

    def is_shown_as(self, id: str) -> bool:
        return self._seen.setdefault(id, self) is self and str(self) == id

    @property
    def is_known(self) -> bool:
        return self in self._seen.values()

    def __str__(self) -> str:
        return next((id for id, one in self._seen.items() if one is self), "unknown")


@dataclass
class Person:
    """`roles` are those in spaces, by the names of the spaces."""

    id: str
    tenant: str
    name: str
    email: str | None
    roles: dict[str, str]
    created_at: Moment
    updated_at: Moment
    kind: str = "user"
    external_id: str | None = None
    tenant_role: str = "member"
    status: str = "active"
    version: int = 1

    @property
    def is_admin(self) -> bool:
        return self.tenant_role == "admin" and self.status == "active"


@dataclass
class Member:
    id: Membership
    role: str
    created_at: Moment
    updated_at: Moment
    version: int = 1


@dataclass
class Tenant:
    id: str
    name: str
    created_at: Moment
    updated_at: Moment
    version: int = 1
    sequence: int = 1
    event: dict[str, Any] = field(default_factory=dict)


@dataclass
class Space:
    """`sequence` counts the changes of its members, too."""

    id: str
    tenant: str
    name: str
    description: str
    created_at: Moment
    updated_at: Moment
    version: int = 1
    sequence: int = 1
    event: dict[str, Any] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)


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
    """`version` counts changes of the project's own fields, `sequence` those of its members, records and notes too;
    `event` is the latest."""

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


def tag(route: str, version: object) -> str:
    return f"{'v' if is_v1(route) else 'f'}-{version}"


def version_of(route: str, record: Record, before: int = 0) -> str:
    """The version of a flat task includes that of its notes, since the flat dialect shows them with the task."""
    notes = f"-{record.note_changes}" if record.kind == "task" and not is_v1(route) else ""
    return f"{record.version - before}{notes}"
