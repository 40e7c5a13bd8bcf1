"""Rotate the secret of a webhook.

Makes another secret. For `overlap_seconds` each delivery is signed with both, so that a receiver with either of them
takes it. 409 while an earlier rotation overlaps still; with `overlap_seconds` of 0 both older secrets end at once.
"""

from atrium.api.v1_webhooks import (
    Id,
    WebhookRotation,
    Webhooks,
    WebhookSecretView,
    lambda_handler,
    newest_key,
    secret_again,
    v1_api,
)

api = v1_api(permission="webhook:manage", access="RotateWebhook", refusals=(409,))
api.derive = secret_again


@api.post("/v1/webhooks/<webhook_id>/rotate")
def rotate_webhook(webhook_id: Id, rotation: WebhookRotation, webhooks: Webhooks) -> WebhookSecretView:
    return WebhookSecretView.made(webhooks.rotate(webhook_id, rotation.overlap_seconds, newest_key()))


handler = lambda_handler(api)
