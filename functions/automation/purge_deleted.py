"""Removes what hangs below a deleted project or task. Behind the table's stream."""

from atrium.api.streams import purging_handler

handler = purging_handler()
