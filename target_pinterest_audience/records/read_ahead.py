"""Takes what an iterator yields on a thread of its own, so that it is there when it is wanted."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class ReadAhead(Generic[T]):
    """What an iterator yields, of which a little waits.

    Waits for an input need a thread anyway: a wait for a pipe cannot be given a time-out on every platform.

    Attributes:
        ended: whether all was returned.
    """

    def __init__(self, items: Iterator[T], most: int, name: str) -> None:
        """Begin.

        Args:
            items: used on the thread only.
            most: how many wait at most.
            name: of the thread.
        """
        self.ended = False
        self._items = items
        # Both ways by queues of this kind: a signal may raise at any moment, and must leave no lock behind.
        self._ready: queue.SimpleQueue[tuple[T] | BaseException | None] = queue.SimpleQueue()
        self._room: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(most):
            self._room.put(None)
        self._last: tuple[BaseException | None] | None = None
        """How it ended, if that has been noticed and not been told yet."""
        self._stopped = False
        threading.Thread(target=self._read, name=name, daemon=True).start()

    def __enter__(self) -> ReadAhead[T]:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Have the thread end as soon as it gets to it; nobody waits for that."""
        self._stopped = True
        self._room.put(None)

    def _read(self) -> None:
        try:
            for item in self._items:
                self._room.get()
                if self._stopped:
                    return
                self._ready.put((item,))
        except BaseException as failure:  # noqa: BLE001 - it is raised where the items are wanted
            self._ready.put(failure)
        else:
            self._ready.put(None)

    def get(self, seconds: float) -> T | None:
        """Return the next item; None if it does not come in time, or nothing is left.

        Args:
            seconds: how long to wait for it.

        Raises:
            BaseException: whatever the iterator raised.
        """
        item = self._take(seconds)
        if item is None and self._last is not None:
            (failure,), self._last = self._last, None
            self.ended = True
            if failure is not None:
                raise failure
        return item

    def get_another(self) -> T | None:
        """Return one more item if it is there; if the iterator raised, that is left to `get`."""
        return self._take(0)

    def _take(self, seconds: float) -> T | None:
        if self._last is not None:
            return None
        try:
            item = self._ready.get(block=seconds > 0, timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(item, tuple):
            self._room.put(None)
            return item[0]
        self._last = (item,)
        return None
