"""Checks every invariant of the table, and repairs what it can. Invoked directly, with {} or {"repair": true}."""

from atrium.automation.checking import checking_handler

handler = checking_handler()
