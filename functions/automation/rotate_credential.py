"""Gives a credential a new secret, and the old one a deadline. Invoked directly."""

from atrium.api.automation import rotating_handler

handler = rotating_handler()
