"""List the deliveries of a webhook.

The latest event first. With `status` a page looks at no more than 1,000 deliveries, and may be short or empty while
more are to come.
"""

from atrium.api.v1_webhooks import (
    Cursor,
    Deliveries,
    DeliveryView,
    Id,
    Limit,
    Moment,
    Page,
    Status,
    lambda_handler,
    page_of,
    v1_api,
)

api = v1_api(permission="webhook:manage", access="List")


@api.get("/v1/webhooks/<webhook_id>/deliveries")
def list_deliveries(
    webhook_id: Id,
    deliveries: Deliveries,
    status: Status | None = None,
    since: Moment | None = None,
    limit: Limit = 20,
    cursor: Cursor | None = None,
) -> Page[DeliveryView]:
    page = deliveries.list(webhook_id, status=status, since=since, limit=limit, after=cursor)
    return page_of(DeliveryView, page)


handler = lambda_handler(api)
