"""A call on a thread of its own, with a result that the main thread collects."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_POLL_SECONDS: Final = 0.5
"""How long a wait lasts at a time, so that a signal ends it on every platform."""


class Background(Generic[T]):
    """A call that is under way, or has ended."""

    def __init__(self, call: Callable[[], T]) -> None:
        """Begin the call."""
        self._call = call
        self._result: T
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as failure:  # noqa: BLE001 - `result` raises it on the main thread
            self._failure = failure

    def ended(self, seconds: float = 0) -> bool:
        """Return whether the call has ended, after waiting for it for at most so long."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result_so_far(self) -> T | None:
        """Return the result; None if the call is still under way, or raised an error."""
        return self._result if self.ended() and self._failure is None else None

    def result(self) -> T:
        """Wait for the end of the call, and return its result.

        Raises:
            BaseException: the call raised it.
        """
        while not self.ended(_POLL_SECONDS):
            pass
        if self._failure is not None:
            raise self._failure
        return self._result
