"""Creates a tenant, or adds to one. Invoked directly, with a Provisioning request as its event."""

from atrium.automation.commands import provisioning_handler

handler = provisioning_handler()
