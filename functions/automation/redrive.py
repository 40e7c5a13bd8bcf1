"""Sends dead letters again, and events that the stream lost. Invoked directly, with {} or {"ledger": true}."""

from atrium.automation.redriving import redriving_handler

handler = redriving_handler()
