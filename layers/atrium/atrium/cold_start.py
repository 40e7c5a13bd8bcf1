"""The start of a function in Lambda, which gives it a whole processor while it starts and a part of one afterwards.

Objects that the first request needs are made during the start: making a client takes as long as ten requests. The
garbage collector is off during the imports, which make no garbage. Outside of Lambda this module has no effect.

With SnapStart many environments resume, hours or days later, from one snapshot of a started process. A connection in
the snapshot would be dead and shared, so connections are closed before the snapshot and opened again by each restored
environment. Random numbers must not come from the snapshot's state either, so Atrium draws them from the system
(`secrets`, `random.SystemRandom`).
"""

import gc
import os
from collections.abc import Callable
from contextlib import suppress

from atrium.settings import settings

_IN_LAMBDA = "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ
_IS_SNAPPED = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


def begin() -> None:
    """Called first in a function's module, by the import of any module of Atrium."""
    if _IN_LAMBDA:
        gc.disable()


def warm(first: Callable[[], object]) -> None:
    """Called last in a function's module. `first` is the first step of its first request. Raises KeyError, which ends
    the start, if a variable of the environment is missing."""
    if not _IN_LAMBDA:
        return
    settings()
    _try(first)
    if _IS_SNAPPED:
        from snapshot_restore_py import register_after_restore

        register_after_restore(_try, first)
    # Objects that exist now stay, so the collector may skip them.
    gc.freeze()
    gc.enable()


def before_snapshot(close: Callable[[], object]) -> None:
    """Registers `close`, to be called before a snapshot of this process, if one is taken."""
    if _IS_SNAPPED:
        # Only Lambda's own Python has this module.
        from snapshot_restore_py import register_before_snapshot

        register_before_snapshot(close)


def _try(first: Callable[[], object]) -> None:
    # If the table does not answer, the first request will report it.
    with suppress(Exception):
        first()
