"""Events in the v1 dialect."""

import re
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from aws_lambda_powertools.event_handler import Depends
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import AfterValidator, ConfigDict, Field, PrivateAttr, WithJsonSchema
from pydantic_core import PydanticCustomError

from atrium import documents
from atrium.api.paging import cursor_from
from atrium.api.records import Moment
from atrium.api.resolver import lambda_handler, request_work
from atrium.api.v1 import NOT_GIVEN, Id, Limit, PageMeta, v1_api
from atrium.api.v1_issuers import IssuerView
from atrium.api.views import PageView, View
from atrium.ids import ID
from atrium.store import events
from atrium.store.engine.work import Work
from atrium.store.events import Feed, Place, Told, Wanted

__all__ = [
    "Cursor",
    "EventPage",
    "EventView",
    "Events",
    "Id",
    "Limit",
    "Moment",
    "Order",
    "Types",
    "Wanted",
    "lambda_handler",
    "place_of",
    "v1_api",
]


def _events(work: Annotated[Work, Depends(request_work)]) -> events.Events:
    return events.Events(work)


Events = Annotated[events.Events, Depends(_events)]

# ---------------------------------------------------------------- inputs

Order = Literal["asc", "desc"]

# A type, or its beginning and a star.
_TYPE = re.compile("[a-z][a-z_.]*[*]?|[*]")


def _type(text: str) -> str:
    if _TYPE.fullmatch(text) is None:
        raise PydanticCustomError(
            "event_type", "Must be a type of events, such as task.created, or its beginning and a star, such as task.*"
        )
    return text


_SentType = Annotated[str, AfterValidator(_type), WithJsonSchema({"type": "string", "pattern": f"^({_TYPE.pattern})$"})]
Types = Annotated[tuple[_SentType, ...], Query(alias="type")]

# Of a list of events: an id, and two bytes with the days for which events were kept when the cursor was made.
_POSITION = re.compile(f"{ID}([0-9a-f]{{4}})?")

Cursor = Annotated[str, cursor_from("next_cursor of a page", _POSITION)]


def place_of(position: str | None) -> Place | None:
    """The place for which a cursor stands."""
    return Place(position[:24], int(position[24:] or "0", 16)) if position else None


# ---------------------------------------------------------------- views


_EXAMPLE: dict[str, Any] = {
    "id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0f3",
    "type": "project.updated",
    "time": "2025-04-05T10:05:00.000Z",
    "tenant_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0a0",
    "space_id": "123e4567-e89b-12d3-a456-426614174000",
    "project_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1",
    "sequence": 2,
    "request_id": "c6af9ac6-7b61-11e6-9a41-93e8deadbe02",
    "actor": {
        "principal_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d0",
        "kind": "user",
        "credential_id": "5a1f09d2-2c31-8000-8000-7be01c66a4d8",
        "issued_by": None,
    },
    "resource": {"id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1", "name": "Website Redesign Q3"},
    "changed": ["name"],
}


class ActorView(View):
    """Who made a change."""

    principal_id: Annotated[str | None, Field(description="The principal; null for an operator.")]
    kind: Annotated[
        Literal["user", "service", "operator"],
        Field(description="Whether it is a person, a program, or who runs Atrium."),
    ]
    credential_id: Annotated[
        str | None,
        Field(
            description="The credential that was sent; null where a function acted for the principal. Absent for a "
            "manager of the project."
        ),
    ] = NOT_GIVEN
    issued_by: Annotated[
        IssuerView | None,
        Field(
            description="What made that credential; null for an operator, and where there is no credential. Absent for "
            "a manager of the project."
        ),
    ] = NOT_GIVEN


class EventView(View):
    """A change, as it was published."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: Annotated[str, Field(description="The event's id: the same wherever and however often it is shown.")]
    type: Annotated[str, Field(description="The type, such as `task.created`.")]
    time: Annotated[str, Field(description="When the change was made.")]
    tenant_id: str
    space_id: str = NOT_GIVEN
    project_id: str = NOT_GIVEN
    principal_id: Annotated[str, Field(description="The principal that was changed.")] = NOT_GIVEN
    sequence: Annotated[
        int,
        Field(
            description="The number of the change, counted over all changes of the same project, principal, space or "
            "tenant. Absent until the event is published."
        ),
    ] = NOT_GIVEN
    request_id: Annotated[
        str | None,
        Field(description="The `X-Request-Id` of the request that made it. Absent for a manager of the project."),
    ] = NOT_GIVEN
    actor: Annotated[ActorView, Field(description="Who made the change.")]
    resource: Annotated[
        Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": True})] | None,
        Field(description="The thing after the change, or before its deletion; null once an operator has erased it."),
    ]
    changed: Annotated[list[str], Field(description="Of an update: the names of the fields with a new value.")] = (
        NOT_GIVEN
    )
    omitted: Annotated[
        list[str], Field(description="The names of the fields that `resource` lacks, because they are too long.")
    ] = NOT_GIVEN

    @classmethod
    def of(cls, told: Told) -> Self:
        shown = told.event.detail()
        if not told.whole:
            del shown["request_id"], shown["actor"]["credential_id"], shown["actor"]["issued_by"]
        return cls.show(shown, version=sha256(documents.render(shown).encode()).hexdigest()[:32])

    def text(self) -> documents.Raw:
        """Without the fields that are absent."""
        return documents.Raw(documents.render(self.model_dump(exclude_unset=True, warnings=False)))


class EventMeta(PageMeta):
    """Whether and where a list goes on."""

    has_more: Annotated[bool, Field(description="Whether there is more to read now.")]
    next_cursor: Annotated[
        str | None,
        Field(
            description="Send it as `cursor` to go on. Null at the end of a list in descending order; never in `asc`."
        ),
    ]
    watermark: Annotated[
        str, Field(description="No event of an earlier moment appears any more. A list in `asc` ends here.")
    ]


class EventPage(PageView):
    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "data": [_EXAMPLE],
                "meta": {"has_more": False, "next_cursor": None, "watermark": "2025-04-05T10:04:30.000Z"},
            }
        }
    )

    data: list[EventView]
    meta: EventMeta

    _feed: Feed = PrivateAttr()

    @classmethod
    def of(cls, feed: Feed) -> Self:
        page = cls.model_construct(data=[EventView.of(told).text() for told in feed.items])
        page._feed = feed
        return page

    @property
    def after(self) -> str | None:
        place = self._feed.place
        return f"{place.id}{place.days:04x}" if place else None

    def show_cursor(self, cursor: str | None) -> None:
        feed = self._feed
        vars(self)["meta"] = EventMeta(has_more=feed.goes_on, next_cursor=cursor, watermark=feed.watermark)
