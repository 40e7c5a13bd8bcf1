"""Imports the modules that all workers need, once, before they are forked: no client, no thread. FunctionOutput must
replace stdout before a logger keeps a reference to it.
"""

import sys
from contextlib import suppress
from importlib import import_module
from pkgutil import iter_modules

import local.functions  # noqa: F401
from local.terminal import FunctionOutput

sys.stdout = sys.stderr = FunctionOutput()

# Code that cannot be imported is reported when a function needs it.
for package in ("atrium.api", "atrium.automation"):
    with suppress(Exception):
        for module in iter_modules(import_module(package).__path__, f"{package}."):
            import_module(module.name)
