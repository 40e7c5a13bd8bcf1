"""Webhooks, their deliveries and their recoveries in the v1 dialect."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from aws_lambda_powertools.event_handler import Depends
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import AfterValidator, ConfigDict, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

from atrium import outbound, signatures
from atrium.api.records import Moment
from atrium.api.resolver import lambda_handler, request_work
from atrium.api.v1 import NOT_GIVEN, Change, Cursor, Id, Limit, Page, ResourceView, Sent, page_of, v1_api
from atrium.ids import from_uuid
from atrium.models import Caller, DeliveryStatus, Recovery, ShownDelivery, Webhook
from atrium.models.events import TYPES_AND_STARS
from atrium.settings import settings
from atrium.store import deliveries, webhooks
from atrium.store.engine.work import Work
from atrium.store.webhooks import Address
from atrium.text import OptionalText

__all__ = [
    "Cursor",
    "Deliveries",
    "DeliveryView",
    "Id",
    "Limit",
    "Moment",
    "NewRecovery",
    "NewWebhook",
    "Page",
    "RecoveryView",
    "Status",
    "WebhookChange",
    "WebhookRotation",
    "WebhookSecretView",
    "WebhookView",
    "Webhooks",
    "lambda_handler",
    "newest_key",
    "page_of",
    "secret_again",
    "v1_api",
]

_OurWork = Annotated[Work, Depends(request_work)]


def _webhooks(work: _OurWork) -> webhooks.Webhooks:
    return webhooks.Webhooks(work)


def _deliveries(work: _OurWork) -> deliveries.Deliveries:
    return deliveries.Deliveries(work)


Webhooks = Annotated[webhooks.Webhooks, Depends(_webhooks)]
Deliveries = Annotated[deliveries.Deliveries, Depends(_deliveries)]

# ---------------------------------------------------------------- inputs

MAX_URL = 2_000
MAX_EVENTS = 50
MAX_PLACES = 20
_DAY = 86_400

Status = Annotated[DeliveryStatus, Query(description="Only deliveries with this status.")]


def _url(text: str) -> str:
    if len(text) > MAX_URL:
        raise PydanticCustomError("string_too_long", f"Must have at most {MAX_URL} characters")
    try:
        return outbound.parsed(text, loopback=settings().loopback).text
    except outbound.UnfitUrl as error:
        raise PydanticCustomError("webhook_url", error.message) from None


def _event(text: str) -> str:
    if text not in TYPES_AND_STARS:
        raise PydanticCustomError(
            "event_type",
            "Must be a type of events, such as task.created, all of a kind, such as task.*, or * for every event",
        )
    return text


def _once(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))


Url = Annotated[
    str,
    Strict(),
    AfterValidator(_url),
    WithJsonSchema({"type": "string", "format": "uri", "maxLength": MAX_URL}),
]
_Type = Annotated[
    str, Strict(), AfterValidator(_event), WithJsonSchema({"type": "string", "enum": list(TYPES_AND_STARS)})
]
Types = Annotated[list[_Type], Field(min_length=1, max_length=MAX_EVENTS), AfterValidator(_once)]
Places = Annotated[list[Id], Field(min_length=1, max_length=MAX_PLACES), AfterValidator(_once)]

_URL = "An `https` URL on port 443 or 8443, without a user in it, whose host has public IPv4 addresses alone."
_EVENTS = "Which events: types, all of a kind such as `task.*`, or `*` for every event."
_SPACES = "Only events of these spaces, and of the projects in them; null for all."
_PROJECTS = "Only events of these projects; null for all."
_DESCRIPTION = "A text for people; it may be empty."


class NewWebhook(Sent):
    """A webhook to be made."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "url": "https://hooks.example.com/atrium?token=7Qz",
                "events": ["project.*", "task.created"],
                "description": "Tickets of the support team",
            }
        }
    )

    url: Annotated[Url, Field(description=_URL)]
    events: Annotated[Types, Field(description=_EVENTS)]
    space_ids: Annotated[Places | None, Field(description=_SPACES)] = None
    project_ids: Annotated[Places | None, Field(description=_PROJECTS)] = None
    description: Annotated[OptionalText, Field(description=_DESCRIPTION)] = ""

    def address(self) -> Address:
        return _address(self.url)


class WebhookChange(Change):
    """At least one field of a webhook."""

    model_config = ConfigDict(json_schema_extra={"example": {"events": ["project.*"], "status": "active"}})

    url: Annotated[Url, Field(description=_URL)] = NOT_GIVEN
    events: Annotated[Types, Field(description=_EVENTS)] = NOT_GIVEN
    space_ids: Annotated[Places | None, Field(description=_SPACES)] = NOT_GIVEN
    project_ids: Annotated[Places | None, Field(description=_PROJECTS)] = NOT_GIVEN
    description: Annotated[OptionalText, Field(description=_DESCRIPTION)] = NOT_GIVEN
    status: Annotated[
        Literal["active", "paused"],
        Field(description="`paused` to get no events for a while; `active` after that, or after it was disabled."),
    ] = NOT_GIVEN

    def given(self) -> dict[str, Any]:
        names = {"space_ids": "spaces", "project_ids": "projects"}
        found = {names.get(name, name): value for name, value in super().given().items()}
        if "url" in found:
            found["address"] = _address(found.pop("url"))
        return found


def _address(url: str) -> Address:
    return Address(url, outbound.parsed(url, loopback=settings().loopback).host)


class WebhookRotation(Sent):
    """A rotation, which makes another secret."""

    model_config = ConfigDict(json_schema_extra={"example": {"overlap_seconds": 3_600}})

    overlap_seconds: Annotated[
        int,
        Field(strict=True, ge=0, le=30 * _DAY, description="For so many seconds events are signed with both secrets."),
    ] = _DAY


class NewRecovery(Sent):
    """The span of time whose events are delivered, as far as they were not."""

    model_config = ConfigDict(json_schema_extra={"example": {"since": "2025-04-05T10:00:00Z"}})

    since: Annotated[Moment, Field(description="The moment of the first event, a day or a time in ISO 8601.")]
    until: Annotated[Moment, Field(description="The moment behind the last event; now, if it is left out.")] = NOT_GIVEN

    def end(self) -> str | None:
        return self.until if "until" in self.model_fields_set else None


# ---------------------------------------------------------------- views

_EXAMPLE: dict[str, Any] = {
    "id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0e1",
    "tenant_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0a0",
    "url": "https://hooks.example.com/atrium?token=7Qz",
    "events": ["project.*", "task.created"],
    "space_ids": None,
    "project_ids": None,
    "description": "Tickets of the support team",
    "status": "active",
    "health": "ok",
    "secret_version": 1,
    "previous_secret_expires_at": None,
    "created_at": "2025-04-05T10:00:00.000Z",
    "updated_at": "2025-04-05T10:00:00.000Z",
}


class WebhookView(ResourceView):
    """A webhook, without its secret."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: Annotated[str, Field(description="The webhook's id, for its path.")]
    tenant_id: str
    url: Annotated[str, Field(description="Where events are delivered to.")]
    events: Annotated[list[str], Field(description=_EVENTS)]
    space_ids: Annotated[list[str] | None, Field(description=_SPACES)]
    project_ids: Annotated[list[str] | None, Field(description=_PROJECTS)]
    description: str
    status: Annotated[
        Literal["active", "paused", "disabled"],
        Field(description="`disabled` after five days of failures, or when the URL has answered 410."),
    ]
    health: Annotated[
        Literal["ok", "failing"],
        Field(description="`failing` while it gets one delivery at a time, until one arrives. No part of the `ETag`."),
    ]
    secret_version: Annotated[int, Field(description="The number of its newest secret.")]
    previous_secret_expires_at: Annotated[
        str | None,
        Field(description="Until when events are, or were, signed with the secret before that, too; null for none."),
    ]
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, webhook: Webhook) -> Self:
        return cls.show(_fields(webhook), version=webhook.version)


class WebhookSecretView(WebhookView):
    """A webhook with its newest secret."""

    model_config = ConfigDict(
        json_schema_extra={"example": {**_EXAMPLE, "secret": "whsec_aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgHiJkLmNoPo="}}
    )

    secret: Annotated[
        str | None, Field(description="By which deliveries are verified; in no other answer but replays of this one.")
    ]

    @classmethod
    def made(cls, webhook: Webhook) -> Self:
        # Derived before the commit: a request whose secret cannot be told now changes nothing.
        _secret(webhook.tenant, webhook.id, webhook.secret)
        return cls.show({**_fields(webhook), "secret": None}, version=webhook.version)


def secret_again(caller: Caller, body: Mapping[str, Any]) -> Mapping[str, str]:
    """The secret of an answer, which is kept in none."""
    return {"secret": _secret(caller.tenant, from_uuid(body["id"]), body["secret_version"])}


def newest_key() -> str:
    """The key that new secrets are derived with."""
    return settings().webhook_key


def _secret(tenant: str, webhook: str, version: int) -> str:
    return signatures.shown(signatures.secret(newest_key(), tenant, webhook, version))


def _fields(webhook: Webhook) -> dict[str, Any]:
    shown = webhook.resource()
    del shown["host"]
    return shown | {
        "url": webhook.url,
        "health": "failing" if webhook.is_failing else "ok",
        "secret_version": webhook.secret,
        "previous_secret_expires_at": webhook.previous_until,
    }


class DeliveryView(ResourceView):
    """A delivery of an event to a webhook."""

    addressed_by = "event_id"

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "event_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0f3",
                "type": "project.updated",
                "status": "pending",
                "attempts": 1,
                "next_attempt_at": "2025-04-05T10:05:06.412Z",
                "last_status": 500,
                "last_error": "refused",
                "created_at": "2025-04-05T10:05:01.220Z",
            }
        }
    )

    event_id: Annotated[str, Field(description="The event, which is the delivery's `webhook-id`, too.")]
    type: Annotated[str, Field(description="The type of the event.")]
    status: Annotated[
        DeliveryStatus,
        Field(description="`failed` once it is given up: after ten attempts, or 76 hours. It can be delivered again."),
    ]
    attempts: Annotated[int, Field(description="How many were made.")]
    next_attempt_at: Annotated[
        str | None,
        Field(description="When the next one is made; null while it is under way, or waits until the URL answers."),
    ]
    last_status: Annotated[int | None, Field(description="The status of the last answer; null for none.")]
    last_error: Annotated[
        Literal[
            "refused",
            "timed_out",
            "address_refused",
            "name_unknown",
            "no_connection",
            "tls_failed",
            "no_http",
            "event_gone",
        ]
        | None,
        Field(description="Why the last attempt failed: `refused` by its status, or a word for why there was none."),
    ]
    created_at: str

    @classmethod
    def of(cls, shown: ShownDelivery) -> Self:
        return cls.show(shown.resource(), version=shown.tag)


class RecoveryView(ResourceView):
    """A recovery of what was not delivered."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0e9",
                "webhook_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0e1",
                "since": "2025-04-05T10:00:00.000Z",
                "until": "2025-04-06T10:00:00.000Z",
                "status": "running",
                "total": 1_200,
                "done": 300,
                "recovered": 12,
                "created_at": "2025-04-06T10:00:00.000Z",
                "finished_at": None,
            }
        }
    )

    id: Annotated[str, Field(description="The recovery's id, for its path.")]
    webhook_id: str
    since: Annotated[str, Field(description="The moment of the first event.")]
    until: Annotated[str, Field(description="The moment behind the last one.")]
    status: Annotated[Literal["running", "done"], Field(description="Whether it goes on.")]
    total: Annotated[int | None, Field(description="How many events the span has, as far as they are counted.")]
    done: Annotated[int, Field(description="How many of them were looked at.")]
    recovered: Annotated[int, Field(description="How many of these are delivered again.")]
    created_at: str
    finished_at: Annotated[str | None, Field(description="When it was done; null while it runs.")]

    @classmethod
    def of(cls, recovery: Recovery) -> Self:
        return cls.show(recovery.resource(), version=recovery.tag)
