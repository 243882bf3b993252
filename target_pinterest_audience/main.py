"""The process `target-pinterest-audience`: starts fast, runs the command, and ends at once.

An hourly run may well find nothing to do; looking for garbage and taking the interpreter apart would be a third of it.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable


def main() -> None:
    """Run the target with the process's arguments, and exit."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave_early)
    # What is imported stays to the end: looking through it for garbage is in vain, now and later.
    gc.disable()
    from target_pinterest_audience.singer.command import run  # noqa: PLC0415
    from target_pinterest_audience.system.signals import leave  # noqa: PLC0415
    from target_pinterest_audience.text.redaction import guard_exceptions  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    guard_exceptions("target-pinterest-audience")
    # All files are closed by now. The interpreter's own way out would take the modules apart one by one, and abort if a
    # run that ended early left Arrow reading a file.
    leave(_run(run))


def _run(run: Callable[[list[str]], int]) -> int:
    from target_pinterest_audience.errors import Terminated  # noqa: PLC0415 - it brings the SDK

    try:
        return run(sys.argv[1:])
    except Terminated as terminated:
        # A signal that arrived when all was said and done.
        return 128 + terminated.signum


def _leave_early(signum: int, _frame: object) -> None:
    """End at once: until the run has its own way to end, there is nothing to save."""
    os.write(2, f"{signal.Signals(signum).name}: stopped before anything was read.\n".encode())
    os._exit(128 + signum)
