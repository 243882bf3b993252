"""Threads that send batches: those of one list in sequence, those of different lists in parallel.

The main thread submits batches and collects the results. The threads are daemons, so a request that hangs cannot keep
the process from ending.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from target_pinterest_audience.routing.orders import Batch, Written

K = TypeVar("K", bound=Hashable)

_THREADS: Final = 8
"""The most requests at once, each for a different list."""

_AHEAD_OF_ALL: Final = 9
"""How many identities may be under way for all lists together, as a multiple of the bound for one."""


@dataclass(frozen=True, slots=True)
class Result(Generic[K]):
    """The result of a batch.

    Attributes:
        lane: the lane that it was submitted to.
        batch: the batch.
        outcome: what Pinterest accepted, or the error.
    """

    lane: K
    batch: Batch
    outcome: Written | BaseException


@dataclass(slots=True)
class _Lane:
    batches: deque[tuple[Batch, Callable[[Batch], Written]]] = field(default_factory=deque)
    """Batches that were submitted and are not being sent yet."""
    identities: int = 0
    """Identities in batches whose results are not collected yet."""
    is_busy: bool = False


class Lanes(Generic[K]):
    """Sends batches in the order in which each lane got them. A lane that failed sends nothing more."""

    def __init__(self, ahead: int) -> None:
        """Create it; threads start when they are needed.

        Args:
            ahead: how many identities may wait in a lane while one of its batches is sent.
        """
        self._ahead = ahead
        self._lanes: defaultdict[K, _Lane] = defaultdict(_Lane)
        self._turn = threading.Lock()
        self._ready: queue.SimpleQueue[K | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Result[K]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()
        self._batches = 0
        self._identities = 0

    @property
    def under_way(self) -> int:
        """How many identities were submitted and have no collected result yet. May be called from any thread."""
        return self._identities

    @property
    def is_full(self) -> bool:
        """Whether no batch may be submitted to any lane."""
        return self._identities > _AHEAD_OF_ALL * self._ahead

    def has_room(self, lane: K) -> bool:
        """Return whether another batch may be submitted to a lane."""
        return self._lanes[lane].identities <= self._ahead and not self.is_full

    def submit(self, lane: K, batch: Batch, send: Callable[[Batch], Written]) -> None:
        """Send a batch on another thread, after the earlier batches of its lane.

        Args:
            lane: the lane.
            batch: the batch.
            send: sends the batch, and returns what Pinterest accepted or raises. Runs on another thread.
        """
        chosen = self._lanes[lane]
        self._batches += 1
        self._identities += len(batch.identities)
        chosen.identities += len(batch.identities)
        if len(self._threads) < min(self._batches, _THREADS):
            thread = threading.Thread(target=self._work, name="delivery", daemon=True)
            self._threads.append(thread)
            thread.start()
        with self._turn:
            chosen.batches.append((batch, send))
            if chosen.is_busy:
                return
            chosen.is_busy = True
        self._ready.put(lane)

    def results(self, seconds: float = 0.0) -> Iterator[Result[K]]:
        """Yield the results so far.

        Args:
            seconds: how long to wait for the first one, if a batch is under way.
        """
        while self._batches:
            try:
                result = self._results.get(timeout=seconds) if seconds else self._results.get_nowait()
            except queue.Empty:
                return
            seconds = 0.0
            if not isinstance(result.outcome, BaseException):
                self._batches -= 1
                self._identities -= len(result.batch.identities)
                self._lanes[result.lane].identities -= len(result.batch.identities)
            yield result

    def stop(self, seconds: float) -> None:
        """Send nothing more, and wait for the requests that are under way.

        Args:
            seconds: how long to wait at most.
        """
        self._stopped.set()
        for _ in self._threads:
            self._ready.put(None)
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            # A signal may have come while it was being started. Then it has sent nothing, and cannot be joined.
            with contextlib.suppress(RuntimeError):
                thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while (lane := self._ready.get()) is not None and not self._stopped.is_set():
            self._send_next(lane)

    def _send_next(self, lane: K) -> None:
        """Send the oldest batch of a lane, and schedule the next one."""
        chosen = self._lanes[lane]
        with self._turn:
            batch, send = chosen.batches.popleft()
        try:
            written = send(batch)
        except BaseException as failure:  # noqa: BLE001 - the main thread raises it
            self._results.put(Result(lane, batch, failure))
            return
        # Before the next batch is sent, so that the results of a lane keep their order.
        self._results.put(Result(lane, batch, written))
        with self._turn:
            chosen.is_busy = bool(chosen.batches)
        if chosen.is_busy:
            self._ready.put(lane)
