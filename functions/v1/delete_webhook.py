"""Delete a webhook.

Nothing is delivered to it any more. Its deliveries go within a few minutes.
"""

from atrium.api.v1_webhooks import Id, Webhooks, lambda_handler, v1_api

api = v1_api(permission="webhook:manage", access="DeleteAndPurge")


@api.delete("/v1/webhooks/<webhook_id>", status_code=204)
def delete_webhook(webhook_id: Id, webhooks: Webhooks) -> None:
    webhooks.delete(webhook_id)


handler = lambda_handler(api)
