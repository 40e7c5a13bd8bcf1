"""HTTP: what the routes are made of. Nothing below this package knows it."""
