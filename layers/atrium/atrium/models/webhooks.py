"""Webhooks, the deliveries of events to them, and recoveries of what was not delivered."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from atrium.ids import to_uuid

WebhookStatus = Literal["active", "paused", "disabled"]
DeliveryStatus = Literal["pending", "delivered", "failed"]
RecoveryStatus = Literal["running", "done"]

# How deliveries get to a webhook: each by itself while it is `closed`. In all other states they wait in a row, of which
# the oldest one goes first: alone while the webhook never answered (`untried`) or has failed (`open`), and a few at a
# time while what has waited is `draining`.
Circuit = Literal["untried", "closed", "draining", "open"]


@dataclass(frozen=True)
class Webhook:
    """A URL to which the events of a tenant are delivered.

    `events` are types, the beginning of some and a star, or a star for all; `spaces` and `projects` bound them, None
    for all. `proven` says whether the URL has ever answered with success. The newest secret is
    derived with the `kms_key` from the number `secret`; the one before, which is good until `previous_until`, with
    `previous_kms_key` from the number `previous`.
    """

    id: str
    tenant: str
    url: str
    host: str
    events: tuple[str, ...]
    spaces: tuple[str, ...] | None
    projects: tuple[str, ...] | None
    description: str
    status: WebhookStatus
    circuit: Circuit
    proven: bool
    kms_key: str
    secret: int
    previous: int | None
    previous_kms_key: str | None
    previous_until: str | None
    created_at: str
    updated_at: str
    version: int

    @property
    def is_failing(self) -> bool:
        return self.circuit == "open"

    def wants(self, type: str, space: str | None, project: str | None) -> bool:
        """Whether an event of a type, of a space and a project or of none, goes to the webhook."""
        if self.spaces is not None and space not in self.spaces:
            return False
        if self.projects is not None and project not in self.projects:
            return False
        return any(type.startswith(each[:-1]) if each.endswith("*") else type == each for each in self.events)

    def secrets(self, now: str) -> list[tuple[str, int]]:
        """The keys and numbers of the secrets that are good, the newest first."""
        newest = (self.kms_key, self.secret)
        if self.previous is None or self.previous_kms_key is None or (self.previous_until or "") <= now:
            return [newest]
        return [newest, (self.previous_kms_key, self.previous)]

    def resource(self) -> dict[str, Any]:
        """The form that events carry: of the URL, which may hold a token, the host alone."""
        return {
            "id": to_uuid(self.id),
            "tenant_id": to_uuid(self.tenant),
            "host": self.host,
            "events": list(self.events),
            "space_ids": _shown(self.spaces),
            "project_ids": _shown(self.projects),
            "description": self.description,
            "status": self.status,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


def _shown(ids: tuple[str, ...] | None) -> list[str] | None:
    return None if ids is None else [to_uuid(id) for id in ids]


class Delivery(NamedTuple):
    """A delivery of an event to a webhook. It is given up at the moment `until`. `last_status` is the status of the
    last answer, `last_error` a word for why there was none. `next_attempt_at` is None while it waits for the webhook
    to answer again, and when there is none."""

    tenant: str
    webhook: str
    event: str
    type: str
    state: DeliveryStatus
    attempts: int
    created_at: str
    until: str
    next_attempt_at: str | None = None
    last_status: int | None = None
    last_error: str | None = None

    @property
    def id(self) -> str:
        """By which its webhook's list is in order."""
        return self.event

    def status(self, now: str) -> DeliveryStatus:
        return "failed" if self.state == "pending" and self.until <= now else self.state

    def tag(self, now: str) -> str:
        """Another one after each change that clients see."""
        told = f"{self.attempts} {self.status(now)} {self.next_attempt_at}"
        return sha256(told.encode()).hexdigest()

    def resource(self, now: str) -> dict[str, Any]:
        """The form that clients see."""
        status = self.status(now)
        return {
            "event_id": to_uuid(self.event),
            "type": self.type,
            "status": status,
            "attempts": self.attempts,
            "next_attempt_at": self.next_attempt_at if status == "pending" else None,
            "last_status": self.last_status,
            "last_error": self.last_error,
            "created_at": self.created_at,
        }


class ShownDelivery(NamedTuple):
    """A delivery at a moment: its status depends on it."""

    delivery: Delivery
    now: str

    @property
    def id(self) -> str:
        """By which its webhook's list is in order."""
        return self.delivery.event

    @property
    def tag(self) -> str:
        return self.delivery.tag(self.now)

    def resource(self) -> dict[str, Any]:
        """The form that clients see."""
        return self.delivery.resource(self.now)


class Recovery(NamedTuple):
    """A recovery of the events of a span of time that were not delivered to a webhook. Of `total` events of the span
    `done` were looked at, and `recovered` of these are delivered again. `after` is the id of the last one of them."""

    id: str
    tenant: str
    webhook: str
    since: str
    until: str
    status: RecoveryStatus
    total: int | None
    done: int
    recovered: int
    created_at: str
    finished_at: str | None = None
    after: str | None = None

    @property
    def tag(self) -> str:
        """Another one after each change."""
        return f"{self.total or 0}-{self.done}-{self.recovered}-{int(self.status == 'done')}"

    def resource(self) -> dict[str, Any]:
        """The form that clients see."""
        return {
            "id": to_uuid(self.id),
            "webhook_id": to_uuid(self.webhook),
            "since": self.since,
            "until": self.until,
            "status": self.status,
            "total": self.total,
            "done": self.done,
            "recovered": self.recovered,
            "created_at": self.created_at,
            "finished_at": self.finished_at,
        }
