"""Runs an iterator on a thread of its own, so that its next items are ready when they are needed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class ReadAhead(Generic[T]):
    """The items of an iterator, some of which are fetched in advance.

    Waiting for input needs a thread in any case, because not every platform allows a timeout on a pipe.

    Attributes:
        ended: whether all items were returned.
    """

    def __init__(self, items: Iterator[T], most: int, name: str) -> None:
        """Start the thread.

        Args:
            items: the iterator, used only on the thread.
            most: the largest number of items to fetch in advance.
            name: the thread's name.
        """
        self.ended = False
        self._items = items
        # A simple queue in both directions: a signal handler may raise at any moment, and must not leave a lock held.
        self._ready: queue.SimpleQueue[tuple[T] | BaseException | None] = queue.SimpleQueue()
        self._room: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(most):
            self._room.put(None)
        self._last: tuple[BaseException | None] | None = None
        """How the iterator ended, if `get` has not reported it yet."""
        self._stopped = False
        threading.Thread(target=self._read, name=name, daemon=True).start()

    def __enter__(self) -> ReadAhead[T]:
        """Return the object itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let the thread end after its current item, without waiting for it."""
        self._stopped = True
        self._room.put(None)

    def _read(self) -> None:
        try:
            for item in self._items:
                self._room.get()
                if self._stopped:
                    return
                self._ready.put((item,))
        except BaseException as failure:  # noqa: BLE001 - `get` raises it
            self._ready.put(failure)
        else:
            self._ready.put(None)

    def get(self, seconds: float) -> T | None:
        """Return the next item; None if it does not arrive in time, or if none is left.

        Args:
            seconds: how long to wait.

        Raises:
            BaseException: the iterator raised this error.
        """
        item = self._take(seconds)
        if item is None and self._last is not None:
            (failure,), self._last = self._last, None
            self.ended = True
            if failure is not None:
                raise failure
        return item

    def get_another(self) -> T | None:
        """Return the next item if it is ready. An error of the iterator is left to `get`."""
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
