"""Lists a principal's credentials: when they end and when they were last used. Invoked directly."""

from atrium.api.automation import listing_handler

handler = listing_handler()
