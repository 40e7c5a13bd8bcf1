"""Get a delivery of a webhook."""

from atrium.api.v1_webhooks import Deliveries, DeliveryView, Id, lambda_handler, v1_api

api = v1_api(permission="webhook:manage", access="Get")


@api.get("/v1/webhooks/<webhook_id>/deliveries/<event_id>")
def get_delivery(webhook_id: Id, event_id: Id, deliveries: Deliveries) -> DeliveryView:
    return DeliveryView.of(deliveries.get(webhook_id, event_id))


handler = lambda_handler(api)
