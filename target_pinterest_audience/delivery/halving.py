"""Halves a batch that Pinterest refuses, until the bad identities stand alone or the size fits.

As long as nothing shows that Pinterest accepts the wire format of a batch at all, single identities find that out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.pinterest.errors import PinterestError, RefusedError, RestrictedError

if TYPE_CHECKING:
    from target_pinterest_audience.routing.orders import Batch

_FEW_BAD: Final = 10
_ONE_BAD_IN: Final = 500
"""If more identities than these are bad, or all are, the cause is not bad rows: the batch fails as a whole."""
_ENOUGH_SUSPECTS: Final = 3
"""If Pinterest refuses so many identities alone and accepts none, it refuses their wire format."""
_FEW_AGAIN: Final = 10
"""If Pinterest refuses so many identities once more, a run does not search for those that it accepts meanwhile."""


class WireRefusedError(Exception):
    """Pinterest refuses the wire format, so it refuses every identity that is sent in it.

    Attributes:
        cause: what Pinterest answered.
    """

    def __init__(self, cause: PinterestError) -> None:
        """Store what Pinterest answered."""
        super().__init__(str(cause))
        self.cause = cause


@dataclass(slots=True)
class Trial:
    """What shows whether Pinterest accepts a wire format.

    Attributes:
        accepted: whether it has accepted an identity that was sent in it.
        suspects: the identities that it refused alone before that.
        answer: what it answered last when it refused one of them; empty if it has refused none.
    """

    accepted: bool = False
    suspects: set[bytes] = field(default_factory=set)
    answer: str = ""


@dataclass(slots=True)
class Halving:
    """Delivers batches in as few requests as Pinterest allows.

    Attributes:
        send: sends a batch; raises a RefusedError if some of its identities, or their number, are at fault.
        fits: how many identities a request may hold; None as long as no limit is known.
        trial: what shows whether Pinterest accepts the wire format of the batches; None if there is no doubt.
        refused_before: identities that Pinterest refused one by one in earlier runs. It probably refuses them again,
            which shows nothing about the others, so they have requests of their own.
    """

    send: Callable[[Batch], None]
    fits: int | None = None
    trial: Trial | None = None
    refused_before: Collection[bytes] = ()
    _bad: list[int] = field(default_factory=list)
    _again: int = 0
    """How many identities Pinterest refused alone once more."""

    def deliver(self, batch: Batch) -> list[int]:
        """Deliver a batch except its bad identities.

        A bad identity costs at most twice the logarithm of the batch's size in requests.

        Returns:
            The indices of the identities that Pinterest refuses. Those of earlier runs come last, and among them first
            those that had no request of their own, so that the next run begins with these.

        Raises:
            WireRefusedError: Pinterest refuses the wire format.
            RefusedError: so many identities were refused that bad rows cannot be the cause. Some of the batch may have
                been accepted.
            TargetError: Pinterest could not be reached, or does not permit the request.
        """
        before = self.refused_before
        again = [i for i, each in enumerate(batch.identities) if each in before] if before else []
        if not again:
            return self._deliver_new(batch)
        refused: list[int] = []
        if len(again) < len(batch.identities):
            known = set(again)
            new = [i for i in range(len(batch.identities)) if i not in known]
            refused = [new[i] for i in self._deliver_new(batch.pick(new))]
        alone: list[int] = []
        unsent: list[int] = []
        self._deliver_again(batch.pick(again), 0, len(again), alone, unsent)
        return refused + [again[i] for i in unsent + alone]

    def _deliver_new(self, batch: Batch) -> list[int]:
        """Deliver identities that Pinterest has not refused before; see `deliver`."""
        self._bad = []
        self._deliver(batch, 0, len(batch.identities))
        return self._bad

    def _deliver_again(self, batch: Batch, start: int, stop: int, alone: list[int], unsent: list[int]) -> None:
        """Deliver a part of the identities that Pinterest refused before, in a limited number of requests.

        Args:
            batch: the identities.
            start: the index of the first identity of the part.
            stop: the index after its last one.
            alone: takes the indices of those that Pinterest refuses alone.
            unsent: takes the indices of those that it refuses together with others.
        """
        size = stop - start
        if self.fits is None or size <= self.fits:
            if self._again >= _FEW_AGAIN and size < len(batch.identities):
                unsent += range(start, stop)
                return
            try:
                self._send_part(batch, start, stop)
            except RefusedError:
                if size == 1:
                    self._again += 1
                    alone.append(start)
                    return
                if self.is_in_doubt or self._again >= _FEW_AGAIN:
                    unsent += range(start, stop)
                    return
            else:
                return
        middle = start + (size + 1) // 2
        self._deliver_again(batch, start, middle, alone, unsent)
        self._deliver_again(batch, middle, stop, alone, unsent)

    def _send_part(self, batch: Batch, start: int, stop: int) -> None:
        """Send a part of a batch; if Pinterest accepts it, it accepts the wire format, too.

        Raises:
            WireRefusedError: Pinterest does not permit the wire format.
            RefusedError: Pinterest refuses the part.
            TargetError: Pinterest could not be reached, or does not permit the request.
        """
        try:
            self.send(batch.part(start, stop))
        except RestrictedError as restricted:
            if not self.is_in_doubt:
                raise
            raise WireRefusedError(restricted) from None
        if self.trial is not None:
            self.trial.accepted = True

    @property
    def is_in_doubt(self) -> bool:
        """Whether nothing shows yet that Pinterest accepts the wire format."""
        return self.trial is not None and not self.trial.accepted

    def _note_bad(self, batch: Batch, index: int) -> bool:
        """Record an identity that was refused alone; return whether bad rows can still be the cause."""
        self._bad.append(index)
        size, bad = len(batch.identities), len(self._bad)
        all_bad = 1 < size == bad
        return not all_bad and bad <= max(_FEW_BAD, size // _ONE_BAD_IN)

    def _deliver(self, batch: Batch, start: int, stop: int) -> bool:
        """Deliver a part; return whether all of it was accepted."""
        size = stop - start
        sent = self.fits is None or size <= self.fits
        if sent:
            try:
                self._send_part(batch, start, stop)
            except RefusedError as refused:
                if self._ends_here(batch, start, stop, refused):
                    return False
            else:
                return True
        middle = start + (size + 1) // 2
        # Both, even if the first one is refused.
        accepted = [self._deliver(batch, start, middle), self._deliver(batch, middle, stop)]
        if sent and all(accepted) and (self.fits is None or middle - start < self.fits):
            self.fits = middle - start
        return all(accepted)

    def _ends_here(self, batch: Batch, start: int, stop: int, refused: RefusedError) -> bool:
        """Return whether a part that was refused need not be halved, after recording its bad identities.

        Raises:
            WireRefusedError: Pinterest refuses the wire format.
            RefusedError: bad rows cannot be the cause.
        """
        if self.is_in_doubt and not self._try_alone(batch, start, stop, refused):
            # The part has too few identities to tell, and each of them was refused.
            self._bad += range(start, stop)
            return True
        if stop - start > 1:
            return False
        if not self._note_bad(batch, start):
            raise refused
        return True

    def _try_alone(self, batch: Batch, start: int, stop: int, refused: RefusedError) -> bool:
        """Find out with single identities whether a part was refused for its wire format.

        Args:
            batch: the batch.
            start: the index of the first identity of the part.
            stop: the index after its last one.
            refused: the refusal of the part.

        Returns:
            Whether Pinterest accepts one of them; then others may be bad.

        Raises:
            WireRefusedError: Pinterest has refused enough of them, and accepted none.
        """
        assert self.trial is not None  # noqa: S101 - only a trial leads here
        for index in sorted({start, (start + stop) // 2, stop - 1}):
            if stop - start > 1:
                try:
                    self.send(batch.part(index, index + 1))
                except RefusedError as error:
                    refused = error
                else:
                    self.trial.accepted = True
                    return True
            self.trial.suspects.add(batch.identities[index])
            self.trial.answer = str(refused)
        if len(self.trial.suspects) >= _ENOUGH_SUSPECTS:
            raise WireRefusedError(refused)
        return False
