"""Sends again what is in DeadLetters. Invoked directly, with {}."""

from atrium.automation.redriving import redriving_handler

handler = redriving_handler()
