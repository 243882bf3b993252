"""The process `target-pinterest-audience`: starts fast, runs the command, and ends at once.

An hourly run may well find nothing to do; looking for garbage and taking the interpreter apart would be a third of it.
"""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the target with the process's arguments, and exit."""
    # What is imported stays to the end: looking through it for garbage is in vain, now and later.
    gc.disable()
    from target_pinterest_audience.command import run  # noqa: PLC0415
    from target_pinterest_audience.redaction import guard_exceptions  # noqa: PLC0415
    from target_pinterest_audience.termination import leave  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    guard_exceptions("target-pinterest-audience")
    # All files are closed by now. The interpreter's own way out would take the modules apart one by one, and abort if a
    # run that ended early left Arrow reading a file.
    leave(run(sys.argv[1:]))
