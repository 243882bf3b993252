"""What to do with a batch that Pinterest refuses: halve it until the bad identities stand alone, or the size fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.pinterest.errors import RefusedError

if TYPE_CHECKING:
    from target_pinterest_audience.batches import Batch

_FEW: Final = 10
_ONE_IN: Final = 500
"""More bad identities than a few, and than one in so many, are no bad rows but a fault of the whole; so are all."""


@dataclass(slots=True)
class Halving:
    """Delivers batches in as few requests as Pinterest lets it.

    Attributes:
        send: has Pinterest accept identities, or raises; a RefusedError means that some of them, or their number, are
            at fault.
        fits: how many identities a request may have, once that is known.
    """

    send: Callable[[Batch], None]
    fits: int | None = None
    _bad: list[int] = field(default_factory=list)

    def deliver(self, batch: Batch) -> list[int]:
        """Deliver a batch but for its bad identities, each of which costs twice the logarithm of the batch's size.

        Args:
            batch: what is to be delivered.

        Returns:
            The places of the identities that Pinterest refuses.

        Raises:
            RefusedError: so many are refused that the fault is not theirs. Some of the batch may have been accepted.
            TargetError: Pinterest could not be reached, or does not permit it.
        """
        self._bad = []
        most = max(_FEW, len(batch.identities) // _ONE_IN)
        self._deliver(batch, 0, len(batch.identities), most)
        return self._bad

    def _deliver(self, batch: Batch, start: int, stop: int, most: int) -> bool:
        """Deliver a part; return whether all of it was accepted."""
        size = stop - start
        if self.fits is None or size <= self.fits:
            try:
                self.send(batch.part(start, stop))
            except RefusedError:
                if size == 1:
                    self._bad.append(start)
                    everybody = 1 < len(batch.identities) == len(self._bad)
                    if everybody or len(self._bad) > most:
                        raise
                    return False
            else:
                return True
        middle = start + (size + 1) // 2
        # Both, whatever becomes of the first.
        accepted = [self._deliver(batch, start, middle, most), self._deliver(batch, middle, stop, most)]
        if all(accepted) and (self.fits is None or middle - start < self.fits):
            self.fits = middle - start
        return all(accepted)
