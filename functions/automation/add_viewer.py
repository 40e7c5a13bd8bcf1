"""Adds a configured principal to each new project as a viewer. Behind a rule of the event bus, off by default."""

from atrium.automation.reactions import viewer_adding_handler

handler = viewer_adding_handler()
