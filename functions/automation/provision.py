"""Creates a tenant, or adds to one. Invoked directly, with a Provisioning request as its event."""

from atrium.api.automation import provisioning_handler

handler = provisioning_handler()
