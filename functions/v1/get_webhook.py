"""Get a webhook."""

from atrium.api.v1_webhooks import Id, Webhooks, WebhookView, lambda_handler, v1_api

api = v1_api(permission="webhook:manage", access="Get")


@api.get("/v1/webhooks/<webhook_id>")
def get_webhook(webhook_id: Id, webhooks: Webhooks) -> WebhookView:
    return WebhookView.of(webhooks.get(webhook_id))


handler = lambda_handler(api)
