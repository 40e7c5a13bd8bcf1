"""Functions without a URL: events, schedules and an operator invoke them. Neither knows HTTP."""
