"""Generators of the committed files that follow from the code, and commands of a release."""
