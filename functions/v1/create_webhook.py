"""Create a webhook.

Events are delivered to its URL from now on, signed with `secret`: docs/webhooks.md says how to verify them. Managing
webhooks takes `webhook:manage` and `event:read`. 409 with 20 webhooks in the tenant, or 3 at one host.
"""

from atrium.api.v1_webhooks import (
    NewWebhook,
    Webhooks,
    WebhookSecretView,
    lambda_handler,
    newest_key,
    secret_again,
    v1_api,
)

api = v1_api(permission="webhook:manage", access="CreateWebhook", refusals=(409,))
api.derive = secret_again


@api.post("/v1/webhooks", status_code=201)
def create_webhook(new: NewWebhook, webhooks: Webhooks) -> WebhookSecretView:
    webhook = webhooks.create(
        new.address(),
        events=new.events,
        spaces=new.space_ids,
        projects=new.project_ids,
        description=new.description,
        kms_key=newest_key(),
    )
    return WebhookSecretView.made(webhook)


handler = lambda_handler(api)
