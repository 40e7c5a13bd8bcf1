"""Gives a principal one more credential: a secret, or an identity at the issuer of access tokens. Invoked directly."""

from atrium.automation.commands import issuing_handler

handler = issuing_handler()
