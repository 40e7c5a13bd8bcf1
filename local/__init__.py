"""The laptop edition runs the whole system of template.yaml on this machine. `python -m local.run` starts it."""
