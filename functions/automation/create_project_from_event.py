"""Creates a project that an event asks for. Behind a queue of the event bus; or invoked directly."""

from atrium.automation.reactions import project_creating_handler

handler = project_creating_handler()
