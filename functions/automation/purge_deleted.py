"""Removes what hangs below a deleted project or task. Behind the table's stream."""

from atrium.automation.streams import purging_handler

handler = purging_handler()
