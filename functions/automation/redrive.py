"""Sends again what is in DeadLetters. Invoked directly, with {}."""

from atrium.api.redriving import redriving_handler

handler = redriving_handler()
