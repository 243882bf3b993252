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
        self._ready: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(most)
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
        try:
            while True:
                self._ready.get_nowait()
        except queue.Empty:
            pass

    def _read(self) -> None:
        try:
            for item in self._items:
                self._ready.put((item,))
                if self._stopped:
                    return
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
        try:
            item = self._ready.get(block=seconds > 0, timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(item, tuple):
            return item[0]
        self.ended = True
        if item is not None:
            raise item
        return None
