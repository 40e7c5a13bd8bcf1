"""Sends the deliveries that are due to the queue of deliveries. Behind a clock."""

from atrium.automation.webhooks import sweeping_deliveries_handler

handler = sweeping_deliveries_handler()
