"""Lists a principal's credentials: when they end and when they were last used. Invoked directly."""

from atrium.automation.commands import listing_handler

handler = listing_handler()
