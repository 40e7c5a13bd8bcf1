"""Update a webhook.

What is left out stays as it is. A paused webhook gets no deliveries; when it is active again, a recovery delivers what
it has missed. 409 with 3 webhooks at the host of the new URL.
"""

from atrium.api.v1_webhooks import Id, WebhookChange, Webhooks, WebhookView, lambda_handler, v1_api

api = v1_api(permission="webhook:manage", access="UpdateWebhook", refusals=(409,))


@api.patch("/v1/webhooks/<webhook_id>")
def update_webhook(webhook_id: Id, change: WebhookChange, webhooks: Webhooks) -> WebhookView:
    return WebhookView.of(webhooks.update(webhook_id, change.given()))


handler = lambda_handler(api)
