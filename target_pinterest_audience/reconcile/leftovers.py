"""Leftovers of a run: the notes that former runs did not settle, sent once for each list after the first window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_pinterest_audience.reconcile.outbox import Outbox
    from target_pinterest_audience.routing.orders import Order
    from target_pinterest_audience.watermark import Hold, Watermark


class Leftovers:
    """Waits with the leftovers of lists until a window is processed: by then it is known which rows have changed.

    The watermark is held until they are handed over, so no STATE passes them.
    """

    def __init__(self, outbox: Outbox, watermark: Watermark, clock: Callable[[], float]) -> None:
        """Begin without lists.

        Args:
            outbox: makes orders of leftovers.
            watermark: the watermark of the stream.
            clock: monotonic time in seconds.
        """
        self._outbox = outbox
        self._watermark = watermark
        self._clock = clock
        self._lists: set[int] = set()
        """The lists whose leftovers wait."""
        self._done: set[int] = set()
        """The lists that have no leftovers, or whose leftovers were handed over."""
        self._since = 0.0
        self._hold: Hold | None = None
        self._released = False

    def find(self, numbers: Iterable[int]) -> None:
        """Find out which of some lists have leftovers.

        Args:
            numbers: the lists.
        """
        for number in set(numbers) - self._done - self._lists:
            if not self._outbox.has_leftovers(number):
                self._done.add(number)
                continue
            if self._hold is None:
                self._since = self._clock()
                self._hold = self._watermark.hold(0)
            self._lists.add(number)

    @property
    def waiting(self) -> bool:
        """Whether leftovers wait."""
        return bool(self._lists)

    def have_waited(self, seconds: float) -> bool:
        """Return whether leftovers have waited for so long."""
        return self.waiting and self._clock() - self._since >= seconds

    def release(self) -> None:
        """Let `orders` yield what waits."""
        self._released = self.waiting

    def orders(self) -> Iterator[Order]:
        """Yield the leftovers if they are released. The caller ensures that nothing else uses the ledger.

        Raises:
            TargetError: the ledger fails, or a list cannot be opened.
        """
        if not self._released:
            return
        self._released = False
        for number in sorted(self._lists):
            yield from self._outbox.leftovers(number)
            self._done.add(number)
        self._lists.clear()
        if self._hold is not None:
            self._hold.release()
            self._hold = None
