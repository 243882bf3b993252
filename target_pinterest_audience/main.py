"""The process `target-pinterest-audience`: starts fast, runs the command, and ends at once.

An hourly run may well find nothing to do, and starting and ending was a third of what it took then.
"""

from __future__ import annotations

import gc
import sys

from target_pinterest_audience.redaction import guard_exceptions
from target_pinterest_audience.termination import leave


def main() -> None:
    """Run the target with the process's arguments, and exit."""
    guard_exceptions("target-pinterest-audience")
    # What is imported stays to the end: looking through it for garbage is in vain, now and later.
    gc.disable()
    from target_pinterest_audience.command import run  # noqa: PLC0415 - only now

    gc.freeze()
    gc.enable()
    # All files are closed by now. The interpreter's own way out would take the modules apart one by one, and abort if a
    # run that ended early left Arrow reading a file.
    leave(run(sys.argv[1:]))
