"""From what rows say to what is sent: events wait in a window that is looked up in the ledger and written together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from target_pinterest_audience.ceiling import Ceilings
from target_pinterest_audience.changes import absorb
from target_pinterest_audience.errors import TargetError
from target_pinterest_audience.ledger import Ledger
from target_pinterest_audience.membership import Event
from target_pinterest_audience.outbox import Outgoing, note_decisions
from target_pinterest_audience.window import Origin, Window

WINDOW_VALUES: Final = 150_000
"""How many rows, times their identity columns, are looked up together: the more, the fewer pages of a big ledger are
read and written, and the more memory it takes."""

WINDOW_SECONDS: Final = 2.0
"""How long an event waits for others at most, so that a full batch leaves within seconds also on a slow stream."""

_BUSY_WINDOW_SECONDS: Final = 10.0
"""The same while events come so fast that a window fills soon."""

_FAST: Final = 10_000
"""Events a second that are fast."""


@dataclass(slots=True)
class Reconciler:
    """Keeps the ledger in step with a stream, and tells what has to be sent for that.

    Attributes:
        ledger: what rows said before.
        run: the number of this run, with which rows are marked as seen.
        shorten: the keyed digest of an identity.
        ceilings: how many may leave each list unasked.
        find_list: makes ready for a list of which the ledger has noted something.
        send: lets wait for a request what the ledger has noted; what of it does not wait yet when it raises a
            TargetError comes after a batch in the stream that waits for good.
        clock: seconds that only ever grow.
        overwriting: the sources whose unchanged rows are marked as seen too, for `prune`.
    """

    ledger: Ledger
    run: int
    shorten: Callable[[bytes], bytes]
    ceilings: Ceilings
    find_list: Callable[[int], object]
    send: Callable[[Outgoing], None]
    clock: Callable[[], float]
    overwriting: set[int] = field(default_factory=set)
    _window: Window = field(default_factory=Window)
    _outgoing: deque[Outgoing] = field(default_factory=deque)
    """What is noted, and does not wait for a request yet."""
    _since: float = 0.0
    _expect_new: bool = False

    def put(self, row: bytes, event: Event, origin: Origin) -> None:
        """Take in an event of a row.

        Raises:
            TargetError: it filled the window, and the window could not be written or what follows not be delivered.
        """
        self._begin()
        self._window.put(row, event, origin)
        self._flush_full()

    def put_wholes(self, rows: Sequence[bytes], wholes: Sequence[bytes], lines: Sequence[int], origin: Origin) -> None:
        """Take in events that are each all that their row says; see `Window.put_wholes`. Raises as `put` does."""
        self._begin()
        self._window.put_wholes(rows, wholes, lines, origin)
        self._flush_full()

    def _begin(self) -> None:
        if not self._window:
            self._since = self.clock()

    def _flush_full(self) -> None:
        if self._window.values >= WINDOW_VALUES:
            self.flush()

    def tick(self) -> None:
        """Work the window off if it has waited for long enough. Raises as `flush` does."""
        if not self._window:
            return
        waited = self.clock() - self._since
        fills = len(self._window) >= waited * _FAST
        if waited >= (_BUSY_WINDOW_SECONDS if fills else WINDOW_SECONDS):
            self.flush()

    @property
    def lines(self) -> tuple[int, int] | None:
        """The first and the last line of the stream that are not worked off; None if all are."""
        ends = [line for each in self._outgoing for line in (each.first_line, each.last_line)]
        ends += [self._window.lines[0], self._window.lines[-1]] if self._window else []
        return (min(ends), max(ends)) if ends else None

    def flush(self) -> None:
        """Work the window off: the ledger notes what is about to be sent, then it goes to be sent.

        Raises:
            RemovalCeilingError: more people would leave a list than may. Nothing of the window is noted or sent then.
            TargetError: the ledger cannot be written, or a batch that was filled not be delivered.
        """
        if self._window:
            self._work_off()
        while self._outgoing:
            each = self._outgoing[0]
            self.find_list(each.list_number)
            try:
                self.send(each)
            except TargetError:
                self._outgoing.popleft()
                raise
            self._outgoing.popleft()

    def _work_off(self) -> None:
        with self.ledger.transaction():
            decisions, self._expect_new = absorb(
                self.ledger, self.run, self.shorten, self._window, self.overwriting, expect_new=self._expect_new
            )
            for number, count in self.ceilings.check(decisions).items():
                self.ledger.catalogue.add_derived(number, count)
            outgoing = note_decisions(self.ledger, decisions)
        self._outgoing.extend(outgoing)
        self._window = Window()
