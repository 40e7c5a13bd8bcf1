"""Deliver what a webhook has missed.

Events of a span of time that match the webhook now and were not delivered to it: because they failed, or because it was
paused, disabled or not there yet. As far back as events are kept. Answers at once; `GET` of the recovery shows how far
it is. 409 while another one of the same webhook runs, and for a webhook that is not active.
"""

from atrium.api.v1_webhooks import Deliveries, Id, NewRecovery, RecoveryView, lambda_handler, v1_api

api = v1_api(permission="webhook:manage", access="Write", refusals=(409,))


@api.post("/v1/webhooks/<webhook_id>/recover", status_code=202)
def recover_events(webhook_id: Id, new: NewRecovery, deliveries: Deliveries) -> RecoveryView:
    return RecoveryView.of(deliveries.recover(webhook_id, new.since, new.end()))


handler = lambda_handler(api)
