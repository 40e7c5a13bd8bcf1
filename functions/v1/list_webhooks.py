"""List webhooks.

In the order of their ids. No answer but that of its creation and rotation shows a webhook's secret.
"""

from atrium.api.v1_webhooks import Cursor, Limit, Page, Webhooks, WebhookView, lambda_handler, page_of, v1_api

api = v1_api(permission="webhook:manage", access="List", refusals=(403,))


@api.get("/v1/webhooks")
def list_webhooks(webhooks: Webhooks, limit: Limit = 20, cursor: Cursor | None = None) -> Page[WebhookView]:
    return page_of(WebhookView, webhooks.list(limit=limit, after=cursor))


handler = lambda_handler(api)
