"""How a function starts in Lambda, where the processor is whole while it starts and a part of one afterwards.

What would be made by the first request is made before it: a client takes as long to make as ten requests take. And
nothing is collected meanwhile, since nothing that an import makes is garbage. Anywhere else nothing happens here.

With SnapStart many environments go on, hours or days later, from one snapshot of a process that has started. A
connection in it would be dead, and the same one in all of them: each is closed before the snapshot, and opened anew by
the environment that was restored. What they draw by chance must not come from the snapshot either, so Atrium draws
from the system (`secrets`, `random.SystemRandom`).
"""

import gc
import os
from collections.abc import Callable
from contextlib import suppress

from atrium.settings import settings

_IN_LAMBDA = "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ
_IS_SNAPPED = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


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
    _try(first)
    if _IS_SNAPPED:
        from snapshot_restore_py import register_after_restore

        register_after_restore(_try, first)
    # What is there now stays: the collector need not look at it again.
    gc.freeze()
    gc.enable()


def before_snapshot(close: Callable[[], object]) -> None:
    """Has something closed before a snapshot of this process is taken, if one is."""
    if _IS_SNAPPED:
        # Lambda's own Python has it, and no other.
        from snapshot_restore_py import register_before_snapshot

        register_before_snapshot(close)


def _try(first: Callable[[], object]) -> None:
    # A table that does not answer is the first request's to meet, and to say so.
    with suppress(Exception):
        first()
