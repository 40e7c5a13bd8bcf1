"""Delivers events to webhooks. Behind a queue in which each webhook has a few lanes."""

from atrium.automation.webhooks import delivering_handler

handler = delivering_handler()
