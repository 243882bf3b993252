"""What to do with a batch that Pinterest refuses: halve it until the bad identities stand alone, or the size fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.pinterest.errors import RefusedError

if TYPE_CHECKING:
    from target_pinterest_audience.routing.orders import Batch

_FEW: Final = 10
_FEW_RESENT: Final = 100
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
    _counted_bad: int = 0

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
        self._counted_bad = 0
        self._deliver(batch, 0, len(batch.identities))
        return self._bad

    def _note_bad(self, batch: Batch, place: int) -> bool:
        """Note an identity that is refused by itself; return whether the fault can still be its own.

        A few that former runs left are not counted: they may be here because they were refused before.
        """
        self._bad.append(place)
        resent = batch.lines.count(0)
        spared = resent if resent <= _FEW_RESENT else 0
        if not spared or batch.lines[place]:
            self._counted_bad += 1
        counted = len(batch.identities) - spared
        everybody = 1 < counted == self._counted_bad
        return not everybody and self._counted_bad <= max(_FEW, counted // _ONE_IN)

    def _deliver(self, batch: Batch, start: int, stop: int) -> bool:
        """Deliver a part; return whether all of it was accepted."""
        size = stop - start
        sent = self.fits is None or size <= self.fits
        if sent:
            try:
                self.send(batch.part(start, stop))
            except RefusedError:
                if size == 1:
                    if not self._note_bad(batch, start):
                        raise
                    return False
            else:
                return True
        middle = start + (size + 1) // 2
        # Both, whatever becomes of the first.
        accepted = [self._deliver(batch, start, middle), self._deliver(batch, middle, stop)]
        if sent and all(accepted) and (self.fits is None or middle - start < self.fits):
            self.fits = middle - start
        return all(accepted)
