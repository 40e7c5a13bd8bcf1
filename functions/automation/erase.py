"""Erases what the ledger holds of a project, or of one thing. Invoked directly."""

from atrium.automation.erasing import erasing_handler

handler = erasing_handler()
