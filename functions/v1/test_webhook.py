"""Test a webhook.

Makes an event `webhook.tested`, which is delivered to this webhook alone, whatever events it wants. At most one a
minute: 409 before that, and for a webhook that is not active.
"""

from atrium.api.v1_webhooks import DeliveryView, Id, Webhooks, lambda_handler, v1_api

api = v1_api(permission="webhook:manage", access="Write", refusals=(409,))


@api.post("/v1/webhooks/<webhook_id>/test", status_code=202)
def test_webhook(webhook_id: Id, webhooks: Webhooks) -> DeliveryView:
    return DeliveryView.of(webhooks.test(webhook_id))


handler = lambda_handler(api)
