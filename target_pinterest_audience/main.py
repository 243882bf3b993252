"""The process `target-pinterest-audience`. It starts fast, and exits at once.

An hourly run may have nothing to do. Garbage collection and the interpreter's shutdown would take a third of its time.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

_OLDEST_AFTER: Final = 1_000
"""After how many collections of younger objects the oldest are looked through; Python's default is 10."""


def main() -> None:
    """Run the target with the process's arguments, and exit."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_early)
    # Imported modules live until exit, so garbage-collecting them is wasted work.
    gc.disable()
    # The SDK imports joblib, and that NumPy if it is there, which takes 0.1 s and 17 MB. Only a large ledger needs it.
    sys.modules["numpy"] = None  # type: ignore[assignment] # as Python spells "not found"
    from target_pinterest_audience.singer.command import run  # noqa: PLC0415 - after garbage collection is off

    del sys.modules["numpy"]
    from target_pinterest_audience.system.signals import leave  # noqa: PLC0415 - after garbage collection is off
    from target_pinterest_audience.text.redaction import guard_exceptions  # noqa: PLC0415 - after garbage collection is off

    gc.freeze()
    # What a run keeps for its lists lives until exit, too: with thousands of lists, looking through it again and again
    # took a sixth of the time. Requests, rows and errors are garbage long before they count as old.
    gc.set_threshold(*gc.get_threshold()[:2], _OLDEST_AFTER)
    gc.enable()
    guard_exceptions("target-pinterest-audience")
    # All files are closed by now. The interpreter's own shutdown would unload the modules one by one. It would also
    # abort if a run that ended early left Arrow reading a file.
    leave(_run(run))


def _run(run: Callable[[list[str]], int]) -> int:
    from target_pinterest_audience.errors import Terminated  # noqa: PLC0415 - after garbage collection is off

    try:
        return run(sys.argv[1:])
    except Terminated as terminated:
        # The signal arrived after the run had ended.
        return 128 + terminated.signum


def _exit_early(signum: int, _frame: object) -> None:
    """Exit at once. Until the run handles signals itself, there is nothing to save."""
    os.write(2, f"{signal.Signals(signum).name}: stopped before any input was read.\n".encode())
    os._exit(128 + signum)
