"""What SIGTERM and SIGINT do: end the run at once, but never in the middle of writing a STATE."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Final

from target_pinterest_audience.errors import Terminated

_GRACE_SECONDS: Final = 5.0
"""How long leaving may take: whoever reads our standard output or error may have stopped to."""


class Termination:
    """Turns a signal into `Terminated`, raised where the main thread is, be it inside a request."""

    def __init__(self) -> None:
        """Begin unshielded."""
        self._shields = 0
        self._counting = threading.Lock()
        self._signum: int | None = None

    def arrived(self, signum: int) -> None:
        """Handle a signal.

        Raises:
            Terminated: at once, or at the end of the block that is shielded.
        """
        last_resort = threading.Timer(_GRACE_SECONDS, os._exit, (128 + signum,))
        last_resort.daemon = True
        last_resort.start()
        if not self._shields:
            raise Terminated(signum)
        self._signum = signum

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Let a signal wait until the block is done.

        Raises:
            Terminated: a signal arrived meanwhile.
        """
        with self._counting:
            self._shields += 1
        try:
            yield
        finally:
            with self._counting:
                self._shields -= 1
        if self._signum is not None and not self._shields:
            raise Terminated(self._signum)
