"""Ends a credential with every secret of it. Invoked directly."""

from atrium.api.automation import revoking_handler

handler = revoking_handler()
