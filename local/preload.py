"""What the functions' processes have in common, imported once before they are forked: modules only, no client, no
thread. What they print goes through FunctionOutput, which has to be there before a logger takes hold of stdout.
"""

import sys
from contextlib import suppress

import local.functions  # noqa: F401
from local.terminal import FunctionOutput

sys.stdout = sys.stderr = FunctionOutput()

# Code that cannot be imported now is said when a function needs it.
with suppress(Exception):
    pass
