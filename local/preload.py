"""Imports the modules that all workers need, once, before they are forked: no client, no thread. FunctionOutput must
replace stdout before a logger keeps a reference to it.
"""

import sys
from contextlib import suppress

import local.functions  # noqa: F401
from local.terminal import FunctionOutput

sys.stdout = sys.stderr = FunctionOutput()

# Code that cannot be imported is reported when a function needs it.
with suppress(Exception):
    pass
