"""Requests for one list on a thread of their own, so that the stream is read on while one is under way."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from target_pinterest_audience.batches import Batch

_POLL_SECONDS: Final = 0.5
"""How long a wait lasts at a time, so that a signal ends it on every platform."""


class Courier:
    """Writes batches one after the other, in the order in which they were handed over.

    One thread hands batches over and hears of them; another writes. After a failure nothing more is written.
    """

    def __init__(
        self, write: Callable[[Batch], list[int]], accepted: Callable[[Batch, list[int]], None], ahead: int
    ) -> None:
        """Prepare; the thread begins with the first batch.

        Args:
            write: has Pinterest accept a batch, or raises; returns the places of the identities that Pinterest
                refuses. Called on the courier's thread.
            accepted: told of each batch that was accepted, in order, and of those places; called on the thread that
                hears.
            ahead: how many identities may wait while a batch is written.
        """
        self._write = write
        self._accepted = accepted
        self._ahead = ahead
        self._tasks: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[list[int] | BaseException] = queue.SimpleQueue()
        self._waiting: deque[Batch] = deque()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._stopped = threading.Event()
        self._hearing = False
        """Whether an answer is about to be passed on; one may be lost if a signal ends that."""

    def hand_over(self, batch: Batch) -> None:
        """Let a batch be written; wait until there is room for it.

        Raises:
            BaseException: whatever a write raised.
        """
        self.hear()
        while sum(len(each.identities) for each in self._waiting) > self._ahead:
            self._hear_one(_POLL_SECONDS)
        self._waiting.append(batch)
        self._tasks.put(batch)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="courier", daemon=True)
            self._thread.start()

    def hear(self) -> None:
        """Pass on what was accepted by now. Raises as `hand_over` does."""
        while self._hear_one(0):
            pass

    def drain(self) -> None:
        """Wait until all is accepted. Raises as `hand_over` does."""
        while self._waiting:
            self._hear_one(_POLL_SECONDS)

    def stop(self, seconds: float) -> None:
        """Write nothing more, and give the request under way a moment, whose outcome is open after that.

        Args:
            seconds: how long to wait for it.
        """
        self._stopped.set()
        self._tasks.put(None)
        if self._thread is not None:
            self._thread.join(seconds)
        if not self._hearing:
            # Whoever stops the courier early knows why; what else went wrong is no news then.
            with contextlib.suppress(BaseException):
                self.hear()

    def _hear_one(self, seconds: float) -> bool:
        """Wait for one batch; return whether it was accepted in time."""
        if self._failure is not None:
            raise self._failure
        self._hearing = True
        try:
            answer = self._answers.get(timeout=seconds) if seconds else self._answers.get_nowait()
        except queue.Empty:
            self._hearing = False
            return False
        if isinstance(answer, BaseException):
            self._failure = answer
            raise answer
        self._accepted(self._waiting.popleft(), answer)
        self._hearing = False
        return True

    def _work(self) -> None:
        while (batch := self._tasks.get()) is not None and not self._stopped.is_set():
            try:
                self._answers.put(self._write(batch))
            except BaseException as failure:  # noqa: BLE001, PERF203 - it is raised where the run can end
                self._answers.put(failure)
                return
