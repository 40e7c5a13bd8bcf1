"""The state that the model keeps: projects with their members, records and notes."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from tests.model.fields import KINDS, is_v1
from tests.support.client import MOMENT


class Shown(ABC):
    """A value that the server chooses: the model learns it from the first answer that shows it."""

    @abstractmethod
    def is_shown_as(self, text: Any) -> bool:
        """Whether an answer may show it so."""


class Moment(Shown):
    """The time of an answer: an interval at first, exact after an answer has shown it."""

    def __init__(self, begun: datetime, ended: datetime) -> None:
        self.begun, self.ended = begun, ended
        self._text: str | None = None

    @classmethod
    def at(cls, text: str) -> "Moment":
        """One that is known."""
        moment = cls(*[datetime.fromisoformat(text)] * 2)
        moment._text = text
        return moment

    @property
    def text(self) -> str | None:
        return self._text

    def is_over(self, now: "Moment") -> bool:
        return self.ended <= now.begun

    def is_shown_as(self, text: Any) -> bool:
        if not isinstance(text, str) or MOMENT.fullmatch(text) is None:
            return False
        # Milliseconds are cut off.
        begun = self.begun - timedelta(milliseconds=1)
        if self._text is None and begun <= datetime.fromisoformat(text) <= self.ended:
            self._text = text
        return self._text == text


def earlier(moment: Moment, other: Moment | None) -> Moment:
    return other if other is not None and other.ended <= moment.begun else moment


class Hint(Shown):
    """The last characters of a credential's newest secret."""

    def __init__(self, text: str | None = None) -> None:
        self.text = text

    def is_shown_as(self, text: Any) -> bool:
        if self.text is None and isinstance(text, str) and re.fullmatch("[0-9A-Za-z]{4}", text):
            self.text = text
        return bool(self.text == text)


class Secret(Shown):
    """A new secret, which is compared after its hint."""

    def __init__(self, kind: str, hint: Hint) -> None:
        self._prefix = {"token": "atr_token_", "api_key": "atr_key_"}[kind]
        self._hint = hint

    def is_shown_as(self, text: Any) -> bool:
        form = f"{self._prefix}[0-9A-Za-z]{{45}}{self._hint.text}"
        return isinstance(text, str) and re.fullmatch(form, text) is not None


class WebhookSecret(Shown):
    """A secret of a webhook: unknown at first, then the same in each answer and unlike all that were `seen`."""

    def __init__(self, seen: set[str]) -> None:
        self._seen = seen
        self._text: str | None = None

    def is_shown_as(self, text: Any) -> bool:
        if not isinstance(text, str) or re.fullmatch(r"whsec_[0-9A-Za-z+/]{43}=", text) is None:
            return False
        if self._text is None and text not in self._seen:
            self._text = text
            self._seen.add(text)
        return self._text == text


class DeliveryTag(Shown):
    """The version of a delivery in its ETag, which is opaque: one for each of its states, by the status and the moment
    of the next attempt. `seen` has those of the delivery so far."""

    def __init__(self, seen: dict[tuple[str, str | None], str], status: str, next_attempt_at: Moment | None) -> None:
        self._seen = seen
        self._status = status
        self._next = next_attempt_at

    @property
    def text(self) -> str | None:
        return self._seen.get(self._state)

    @property
    def _state(self) -> tuple[str, str | None]:
        return self._status, self._next.text if self._next else None

    def is_shown_as(self, text: Any) -> bool:
        if self.text is None and text not in self._seen.values():
            self._seen[self._state] = text
        return bool(self.text == text)


class AnyUse(Shown):
    """When a credential was last used with which requests are sent here, or null: the authorizer says so now and
    then."""

    def is_shown_as(self, text: Any) -> bool:
        return text is None or MOMENT.fullmatch(text) is not None


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
class Credential:
    """`narrowed` and `issued_by` are as answers show them. After a rotation the older secret is good until
    `older_ends`. One that enrols ends at `ends_when_whole` after its rotation. Those that are given were there before
    the model."""

    id: str
    kind: str
    name: str | None
    narrowed: dict[str, Any]
    issued_by: dict[str, str] | None
    created_at: Moment
    expires_at: Moment | None
    enrols: bool
    hint: Hint = field(default_factory=Hint)
    older_ends: Moment | None = None
    ends_when_whole: Moment | None = None
    is_revoked: bool = False
    is_given: bool = False
    version: int = 1

    def status(self, now: Moment) -> str:
        if self.is_revoked:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at.is_over(now) else "active"


@dataclass
class Person:
    """`roles` are those in spaces, by the names of the spaces; requests are sent with the credential that it `sends`.
    `sequence` counts the changes of its credentials alone."""

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
    sequence: int = 0
    event: dict[str, Any] = field(default_factory=dict)
    sends: str = ""
    credentials: dict[str, Credential] = field(default_factory=dict)

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
class Delivery:
    """`next_attempt_at` is None before it is asked for again. It is given up at the moment `until`. `tags` are those of
    its ETags by its states."""

    event: str
    type: str
    created_at: Moment
    until: Moment
    next_attempt_at: Moment | None = None
    tags: dict[tuple[str, str | None], str] = field(default_factory=dict)

    def status(self, now: Moment) -> str:
        return "failed" if self.until.is_over(now) else "pending"

    def tag(self, now: Moment) -> DeliveryTag:
        return DeliveryTag(self.tags, self.status(now), self.next_attempt_at)


@dataclass
class Recovery:
    id: str
    since: Moment
    until: Moment
    created_at: Moment


@dataclass
class Webhook:
    """The secret before the `newest` is good until `older_ends`. It is tested again after the moment `tested_until`.
    `version` counts changes of its own fields, `sequence` its events."""

    id: str
    tenant: str
    url: str
    events: list[str]
    space_ids: list[str] | None
    project_ids: list[str] | None
    description: str
    newest: WebhookSecret
    created_at: Moment
    updated_at: Moment
    status: str = "active"
    secret_version: int = 1
    older_ends: Moment | None = None
    tested_until: Moment | None = None
    version: int = 1
    sequence: int = 0
    event: dict[str, Any] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    recoveries: dict[str, Recovery] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


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
