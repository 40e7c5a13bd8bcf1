"""Deliver an event to a webhook once more.

Under the same id, whether it has arrived before or not; a delivery that is pending is attempted now. 409 for a webhook
that is not active.
"""

from atrium.api.v1_webhooks import Deliveries, DeliveryView, Id, lambda_handler, v1_api

api = v1_api(permission="webhook:manage", access="Schedule", refusals=(409,))


@api.post("/v1/webhooks/<webhook_id>/deliveries/<event_id>/redeliver", status_code=202)
def redeliver_event(webhook_id: Id, event_id: Id, deliveries: Deliveries) -> DeliveryView:
    return DeliveryView.of(deliveries.redeliver(webhook_id, event_id))


handler = lambda_handler(api)
