"""List events.

Every change of anything in the tenant, as its ledger keeps it. The newest first; with `order=asc` the oldest first, up
to `meta.watermark`, so that no event appears later behind a cursor: keep `next_cursor`, and ask again with it for what
has happened since. A page with a filter looks at no more than 1,000 events, and may be short or empty while more are
to come. 410 with the oldest time that can be asked for, when a cursor in `asc` is older than the events that are kept.
A manager of the project is shown no credentials and requests.
"""

from atrium.api.v1_events import (
    Cursor,
    EventPage,
    Events,
    Id,
    Limit,
    Moment,
    Order,
    Types,
    Wanted,
    lambda_handler,
    place_of,
    v1_api,
)

api = v1_api(
    permission="event:read",
    who="admin; with `project_id`, a manager of that project",
    access="List",
    refusals=(403, 410),
)


@api.get("/v1/events")
def list_events(
    events: Events,
    types: Types = (),
    project_id: Id | None = None,
    space_id: Id | None = None,
    actor_id: Id | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    order: Order = "desc",
    limit: Limit = 20,
    cursor: Cursor | None = None,
) -> EventPage:
    wanted = Wanted(types, project_id, space_id, actor_id, since, until, is_ascending=order == "asc")
    return EventPage.of(events.list(wanted, limit=limit, after=place_of(cursor)))


handler = lambda_handler(api)
