"""The laptop edition: the whole system from template.yaml, on this machine. `python -m local.run` runs it."""
