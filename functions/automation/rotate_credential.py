"""Gives a credential a new secret, and the old one a deadline. Invoked directly."""

from atrium.automation.commands import rotating_handler

handler = rotating_handler()
