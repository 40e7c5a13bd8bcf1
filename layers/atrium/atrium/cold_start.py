"""How a function starts in Lambda, where the processor is whole while it starts and a part of one afterwards.

What would be made by the first request is made before it: a client takes as long to make as ten requests take. And
nothing is collected meanwhile, since nothing that an import makes is garbage. Anywhere else nothing happens here.
"""

import gc
import os
from collections.abc import Callable
from contextlib import suppress

from atrium.settings import settings

_IN_LAMBDA = "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ


def begin() -> None:
    """The first thing that a function's module does, by importing anything of Atrium."""
    if _IN_LAMBDA:
        gc.disable()


def warm(first: Callable[[], object]) -> None:
    """The last thing that a function's module does: `first` is what its first request would do first. Raises KeyError,
    which ends the start, where the environment lacks something."""
    if not _IN_LAMBDA:
        return
    settings()
    # A table that does not answer is the first request's to meet, and to say so.
    with suppress(Exception):
        first()
    # What is there now stays: the collector need not look at it again.
    gc.freeze()
    gc.enable()
