"""Publishes the domain event of each change on the event bus. Behind the table's stream."""

from atrium.automation.streams import publishing_handler

handler = publishing_handler()
