"""From what rows say to what is sent: events wait in a window that is looked up in the ledger and written together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from target_pinterest_audience.background import Background
from target_pinterest_audience.ceiling import Ceilings, movements
from target_pinterest_audience.changes import NewRows, absorb, suppose_new
from target_pinterest_audience.errors import TargetError
from target_pinterest_audience.ledger import Ledger
from target_pinterest_audience.membership import Event
from target_pinterest_audience.outbox import Outgoing, note_decisions
from target_pinterest_audience.source_run import SourceRun
from target_pinterest_audience.window import Origin, Window

WINDOW_VALUES: Final = 150_000
"""How many rows, times their identity columns, are looked up together: the more, the fewer pages of a big ledger are
read and written, and the more memory it takes."""

_NEW_SHARE: Final = 0.75
"""The share of that which is enough if rows are likely new: two such windows take more memory."""

WINDOW_SECONDS: Final = 2.0
"""How long an event waits for others at most, so that a full batch leaves within seconds also on a slow stream."""

_BUSY_WINDOW_SECONDS: Final = 10.0
"""The same while events come so fast that a window fills soon."""

_FAST: Final = 10_000
"""Events a second that are fast."""


_MOMENT_SECONDS: Final = 0.05


class _Ahead(NamedTuple):
    """What is to be handed over, and the lines of the stream that it and all behind it come from."""

    outgoing: Outgoing
    first_line: int
    last_line: int


class _Worked(NamedTuple):
    """What came of a window."""

    outgoing: list[Outgoing]
    all_new: bool


@dataclass(slots=True)
class Reconciler:
    """Keeps the ledger in step with a stream, and tells what has to be sent for that.

    Attributes:
        ledger: what rows said before.
        shorten: the keyed digest of an identity.
        ceilings: how many may leave each list unasked.
        find_list: makes ready for a list of which the ledger has noted something.
        send: lets wait for a request what the ledger has noted; what of it does not wait yet when it raises a
            TargetError comes after a batch in the stream that waits for good.
        settle: forgets in the ledger what was accepted; called when the ledger is free.
        clock: seconds that only ever grow.
        sources: what the run knows of each source that it reads, by the ledger's number.
        expect_new: whether the rows to come are likely unknown to the ledger, so that it is tried without a look.
    """

    ledger: Ledger
    shorten: Callable[[bytes], bytes]
    ceilings: Ceilings
    find_list: Callable[[int], object]
    send: Callable[[Outgoing], None]
    settle: Callable[[], None]
    clock: Callable[[], float]
    sources: dict[int, SourceRun] = field(default_factory=dict)
    expect_new: bool = False
    _window: Window = field(default_factory=Window)
    """What has come since."""
    _working_off: Window | None = None
    """What is worked off; it stays here if that fails."""
    _work: Background[_Worked] | None = None
    """That work, while the stream is read on."""
    _outgoing: deque[_Ahead] = field(default_factory=deque)
    """What is noted, and does not wait for a request yet."""
    _since: float = 0.0

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
        if self._window.values >= WINDOW_VALUES * (_NEW_SHARE if self.expect_new else 1):
            # While the one before is still worked off.
            new = suppose_new(self._window, self.shorten) if self.expect_new else None
            self._collect()
            # While this one is worked off, what the one before led to is sent, and the next one is read.
            window = self._close_window()
            self._work = Background(lambda: self._work_off(window, new))
            self._hand_over()

    @property
    def idle(self) -> bool:
        """Whether the ledger is free: no window is worked off."""
        return self._work is None

    @property
    def hangs(self) -> bool:
        """Whether a window is being worked off all the same after `stop`."""
        return self._work is not None and not self._work.ended()

    def tick(self) -> None:
        """Work the window off if it has waited for long enough. Raises as `flush` does."""
        if self._work is not None and self._work.ended():
            self.wait()
        if not self._window:
            return
        waited = self.clock() - self._since
        fills = len(self._window) >= waited * _FAST
        if waited >= (_BUSY_WINDOW_SECONDS if fills else WINDOW_SECONDS):
            self.flush()

    @property
    def lines(self) -> tuple[int, int] | None:
        """The first and the last line of the stream that are not worked off; None if all are."""
        ends = list(self._outgoing[0][1:]) if self._outgoing else []
        for window in (self._working_off, self._window):
            ends += [window.lines[0], window.lines[-1]] if window else []
        return (min(ends), max(ends)) if ends else None

    def wait(self) -> None:
        """Wait until the ledger is free. Raises as `flush` does."""
        self._collect()
        self._hand_over()

    def flush(self) -> None:
        """Work the window off: the ledger notes what is about to be sent, then it goes to be sent.

        Raises:
            RemovalCeilingError: more people would leave a list than may. Nothing of the window is noted or sent then.
            TargetError: the ledger cannot be written, or a batch that was filled not be delivered.
        """
        self._collect()
        if self._window:
            window = self._close_window()
            self._take(self._work_off(window))
        self._hand_over()

    def stop(self, seconds: float) -> None:
        """Give up what is being worked off, unless the ledger has noted it by then.

        Args:
            seconds: how long to wait for that.
        """
        if self._work is not None:
            for _ in range(int(seconds / _MOMENT_SECONDS)):
                self.ledger.interrupt()
                if self._work.ended(_MOMENT_SECONDS):
                    break

    def _close_window(self) -> Window:
        # In this order: a signal may end the run between the two, and what is in neither place counts as worked off.
        window = self._working_off = self._window
        self._window = Window()
        return window

    def _collect(self) -> None:
        """Wait until the window is worked off that is, if one is."""
        if self._work is not None:
            worked = self._work.result()
            self._work = None
            self._take(worked)
            self.settle()

    def _take(self, worked: _Worked) -> None:
        self._outgoing = _ahead([*(each.outgoing for each in self._outgoing), *worked.outgoing])
        self.expect_new = worked.all_new
        if self._working_off is not None:
            self._working_off.count()
        self._working_off = None

    def _work_off(self, window: Window, new: NewRows | None = None) -> _Worked:
        with self.ledger.transaction():
            decisions = new.write(self.ledger, self.sources) if new is not None else None
            all_new = decisions is not None
            if decisions is None:
                decisions, all_new = absorb(self.ledger, self.sources, self.shorten, window)
            self.ceilings.count(self.ledger.catalogue, movements(decisions))
            return _Worked(note_decisions(self.ledger, decisions), all_new)

    def _hand_over(self) -> None:
        while self._outgoing:
            each = self._outgoing[0].outgoing
            self.find_list(each.list_number)
            try:
                self.send(each)
            except TargetError:
                self._outgoing.popleft()
                raise
            self._outgoing.popleft()


def _ahead(outgoing: Sequence[Outgoing]) -> deque[_Ahead]:
    """Return what is to be handed over, each with the lines of what is not handed over before it."""
    ahead: deque[_Ahead] = deque()
    for each in reversed(outgoing):
        first, last = each.first_line, each.last_line
        if ahead:
            first, last = min(first, ahead[0].first_line), max(last, ahead[0].last_line)
        ahead.appendleft(_Ahead(each, first, last))
    return ahead
