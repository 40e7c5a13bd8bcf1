"""Get an event.

As `GET /v1/events` lists it.
"""

from atrium.api.v1_events import Events, EventView, Id, lambda_handler, v1_api

api = v1_api(permission="event:read", who="admin, or a manager of the event's project", access="Get")


@api.get("/v1/events/<event_id>")
def get_event(event_id: Id, events: Events) -> EventView:
    return EventView.of(events.get(event_id))


handler = lambda_handler(api)
