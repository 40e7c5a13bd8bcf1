"""Ends a credential with every secret of it. Invoked directly."""

from atrium.automation.commands import revoking_handler

handler = revoking_handler()
