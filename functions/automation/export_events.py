"""Exports days of a tenant's events to a bucket. Invoked directly."""

from atrium.automation.exporting import exporting_handler

handler = exporting_handler()
