"""Purges the deletions that the stream did not get done. Runs on a schedule."""

from atrium.automation.streams import sweeping_handler

handler = sweeping_handler()
