"""Requests on threads of their own, so that the stream is read on while some are under way."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from target_pinterest_audience.batches import Batch, Written

_POLL_SECONDS: Final = 0.5
"""How long a wait lasts at a time, so that a signal ends it on every platform."""

_THREADS: Final = 8
"""How many requests are under way at once at most, each for another list."""

_AHEAD_OF_ALL: Final = 9
"""How much may wait for all lists together, as a multiple of what may wait for one."""


class _Answer(NamedTuple):
    courier: Courier
    batch: Batch
    outcome: Written | BaseException
    """What came of the batch; or whatever the write raised."""


class Crew:
    """A few threads that write for any number of lists.

    One thread hands batches over and hears of them; the crew's write. After a failure whoever hears is told.
    """

    def __init__(self, ahead: int) -> None:
        """Prepare; threads begin when they are needed.

        Args:
            ahead: how many identities may wait for one list while one of its batches is written.
        """
        self.ahead = ahead
        self._ready: queue.SimpleQueue[Courier | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._failure: BaseException | None = None
        self._stopped = threading.Event()
        self._batches = 0
        self._identities = 0

    @property
    def has_room(self) -> bool:
        """Whether so little waits for all lists together that one more batch may."""
        return self._identities <= _AHEAD_OF_ALL * self.ahead

    @property
    def under_way(self) -> int:
        """How many identities were handed over and not heard of yet. May be called from any thread."""
        return self._identities

    def take(self, batch: Batch) -> None:
        """Count a batch that is handed over; see that there is a thread for it."""
        self._batches += 1
        self._identities += len(batch.identities)
        if len(self._threads) < min(self._batches, _THREADS):
            thread = threading.Thread(target=self._work, name="courier", daemon=True)
            self._threads.append(thread)
            thread.start()

    def is_ready(self, courier: Courier) -> None:
        """Let the next batch of a list be written."""
        self._ready.put(courier)

    def tell(self, courier: Courier, batch: Batch, outcome: Written | BaseException) -> None:
        """Let whoever hears know what came of a batch; called on the crew's threads."""
        self._answers.put(_Answer(courier, batch, outcome))

    def hear(self) -> None:
        """Pass on what was accepted by now.

        Raises:
            BaseException: whatever a write raised.
        """
        while self.hear_one(0):
            pass

    def drain(self) -> None:
        """Wait until all is accepted. Raises as `hear` does."""
        while self._batches:
            self.hear_one(_POLL_SECONDS)

    def hear_one(self, seconds: float = _POLL_SECONDS) -> bool:
        """Wait for one batch; return whether it was accepted in time. Raises as `hear` does."""
        if self._failure is not None:
            raise self._failure
        try:
            answer = self._answers.get(timeout=seconds) if seconds else self._answers.get_nowait()
        except queue.Empty:
            return False
        if isinstance(answer.outcome, BaseException):
            self._failure = answer.outcome
            raise self._failure
        self._batches -= 1
        self._identities -= len(answer.batch.identities)
        answer.courier.heard(answer.batch, answer.outcome)
        return True

    def stop(self, seconds: float) -> None:
        """Write nothing more, and give the requests under way a moment; the outcome of the others is open after that.

        Args:
            seconds: how long to wait for them.
        """
        self._stopped.set()
        for _ in self._threads:
            self._ready.put(None)
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        # Whoever stops the crew early knows why; what else went wrong is no news then.
        while not self._answers.empty():
            self._failure = None
            with contextlib.suppress(BaseException):
                self.hear_one(0)

    def _work(self) -> None:
        while (courier := self._ready.get()) is not None and not self._stopped.is_set():
            courier.write_next()


class Courier:
    """Writes the batches of one list one after the other, in the order in which they were handed over.

    After a failure nothing more is written.
    """

    def __init__(
        self, crew: Crew, write: Callable[[Batch], Written], accepted: Callable[[Batch, Written], None]
    ) -> None:
        """Prepare.

        Args:
            crew: does the writing.
            write: has Pinterest accept a batch, or raises; returns what came of it. Called on the crew's threads.
            accepted: told of each batch that was accepted, in order, and of what came of it; called on the thread that
                hears.
        """
        self._crew = crew
        self._write = write
        self._accepted = accepted
        self._identities = 0
        """How many were handed over, and not heard of yet."""
        self._turn = threading.Lock()
        self._tasks: deque[Batch] = deque()
        self._under_way = False

    def hand_over(self, batch: Batch) -> None:
        """Let a batch be written; wait until there is room for it.

        Raises:
            BaseException: whatever a write raised.
        """
        self._crew.hear()
        while self._identities > self._crew.ahead or not self._crew.has_room:
            self._crew.hear_one()
        self._identities += len(batch.identities)
        self._crew.take(batch)
        with self._turn:
            self._tasks.append(batch)
            if self._under_way:
                return
            self._under_way = True
        self._crew.is_ready(self)

    def heard(self, batch: Batch, written: Written) -> None:
        """Pass on that a batch was accepted."""
        self._identities -= len(batch.identities)
        self._accepted(batch, written)

    def write_next(self) -> None:
        """Write the batch that has waited longest, and see to it that the next one follows."""
        with self._turn:
            batch = self._tasks.popleft()
        try:
            written = self._write(batch)
        except BaseException as failure:  # noqa: BLE001 - it is raised where the run can end
            self._crew.tell(self, batch, failure)
            return
        # Before the next one is written, so that one is heard of after the other.
        self._crew.tell(self, batch, written)
        with self._turn:
            self._under_way = bool(self._tasks)
        if self._under_way:
            self._crew.is_ready(self)
