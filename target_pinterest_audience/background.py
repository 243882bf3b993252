"""One call on a thread of its own, so that the stream is read on meanwhile."""

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
        except BaseException as failure:  # noqa: BLE001 - it is raised where the run can end
            self._failure = failure

    def ended(self, seconds: float = 0) -> bool:
        """Return whether the call has ended, after waiting for it so long at most."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> T:
        """Wait for the end of the call, and return what it returned.

        Raises:
            BaseException: whatever it raised.
        """
        while not self.ended(_POLL_SECONDS):
            pass
        if self._failure is not None:
            raise self._failure
        return self._result
