"""Purges the deletions that the stream did not get done. Runs on a schedule."""

from atrium.api.streams import sweeping_handler

handler = sweeping_handler()
