"""Begins a delivery of each event to each webhook that wants it. Behind the bus, by a queue."""

from atrium.automation.webhooks import fanning_out_handler

handler = fanning_out_handler()
