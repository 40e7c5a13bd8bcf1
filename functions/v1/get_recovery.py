"""Get a recovery of a webhook.

How many events it has to look at, and how many it has looked at.
"""

from atrium.api.v1_webhooks import Deliveries, Id, RecoveryView, lambda_handler, v1_api

api = v1_api(permission="webhook:manage", access="Get")


@api.get("/v1/webhooks/<webhook_id>/recoveries/<job_id>")
def get_recovery(webhook_id: Id, job_id: Id, deliveries: Deliveries) -> RecoveryView:
    return RecoveryView.of(deliveries.recovery(webhook_id, job_id))


handler = lambda_handler(api)
