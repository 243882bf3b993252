"""From what rows say to what is sent: events wait in a window that is looked up in the ledger and written together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.membership.statements import Event
from target_pinterest_audience.reconcile.ceiling import Ceilings, movements
from target_pinterest_audience.reconcile.changes import NewRows, absorb, suppose_new
from target_pinterest_audience.reconcile.outbox import Outgoing, note_decisions
from target_pinterest_audience.reconcile.source_run import SourceRun
from target_pinterest_audience.reconcile.window import Origin, Window
from target_pinterest_audience.watermark import Hold, Watermark

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
        watermark: the watermark of the stream; held for what is not handed over yet.
        clock: monotonic time in seconds.
        sources: what the run knows of each source that it reads, by the ledger's number.
        expect_new: whether the rows to come are likely unknown to the ledger, so that it is tried without a look.
    """

    ledger: Ledger
    shorten: Callable[[bytes], bytes]
    ceilings: Ceilings
    watermark: Watermark
    clock: Callable[[], float]
    sources: dict[int, SourceRun] = field(default_factory=dict)
    expect_new: bool = False
    _window: Window = field(default_factory=Window)
    """What has come since."""
    _working_off: Window | None = None
    """What is worked off; it stays here if that fails."""
    _work: Background[_Worked] | None = None
    """That work, while the stream is read on."""
    _outgoing: deque[tuple[Outgoing, Hold]] = field(default_factory=deque)
    """What is noted, and not handed over yet."""
    _hold: Hold | None = None
    """Holds the watermark for the window."""
    _hold_of_work: Hold | None = None
    """Holds it for what is worked off."""
    _since: float = 0.0

    def put(self, row: bytes, event: Event, origin: Origin) -> None:
        """Take in an event of a row.

        Raises:
            TargetError: it filled the window, and the window before could not be written.
        """
        self._begin(event.line)
        self._window.put(row, event, origin)
        self.watermark.reach(event.line)
        self._flush_full()

    def put_wholes(self, rows: Sequence[bytes], wholes: Sequence[bytes], lines: Sequence[int], origin: Origin) -> None:
        """Take in events that are each all that their row says; see `Window.put_wholes`. Raises as `put` does."""
        self._begin(lines[0])
        self._window.put_wholes(rows, wholes, lines, origin)
        self.watermark.reach(lines[-1])
        self._flush_full()

    def _begin(self, line: int) -> None:
        if not self._window:
            self._since = self.clock()
            if self._hold is None:
                self._hold = self.watermark.hold(line)

    def _flush_full(self) -> None:
        if self._window.values >= WINDOW_VALUES * (_NEW_SHARE if self.expect_new else 1):
            # While the one before is still worked off.
            new = suppose_new(self._window, self.shorten) if self.expect_new else None
            self.collect()
            # While this one is worked off, what the one before led to is sent, and the next one is read.
            window = self._close_window()
            self._work = Background(lambda: self._work_off(window, new))

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
            self.collect()
        if not self._window:
            return
        waited = self.clock() - self._since
        fills = len(self._window) >= waited * _FAST
        if waited >= (_BUSY_WINDOW_SECONDS if fills else WINDOW_SECONDS):
            self.flush()

    def flush(self) -> None:
        """Work the window off: afterwards `orders` has all that it led to.

        Raises:
            RemovalCeilingError: more people would leave a list than may. Nothing of the window is noted or sent then.
            TargetError: the ledger cannot be written.
        """
        self.collect()
        if self._window:
            window = self._close_window()
            self._take(self._work_off(window))

    def orders(self) -> Iterator[Outgoing]:
        """Yield what is noted and not handed over; each counts as handed over when the next one is asked for."""
        while self._outgoing:
            outgoing, hold = self._outgoing[0]
            # What the window held from its first line on, what is left of it holds from its own.
            if hold.line is not None and outgoing.first_line > hold.line:
                hold.move(outgoing.first_line)
            yield outgoing
            self._outgoing.popleft()
            if not self._outgoing or self._outgoing[0][1] is not hold:
                hold.release()

    def waits_for(self, line: int) -> bool:
        """Return whether something from before a line of the stream is not handed over yet."""
        holds = [self._hold, self._hold_of_work, *(hold for _, hold in self._outgoing)]
        return any(each is not None and each.line is not None and each.line < line for each in holds)

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
        # In this order: a signal may end the run between any two of these.
        window = self._working_off = self._window
        self._hold_of_work, self._hold = self._hold, None
        self._window = Window()
        return window

    def collect(self) -> None:
        """Wait until the ledger is free: until the window is worked off that is, if one is. Raises as `flush` does."""
        if self._work is not None:
            worked = self._work.result()
            self._work = None
            self._take(worked)

    def _take(self, worked: _Worked) -> None:
        hold = self._hold_of_work
        assert hold is not None  # noqa: S101 - a window that is worked off has one
        self._outgoing.extend((each, hold) for each in worked.outgoing)
        if not worked.outgoing:
            hold.release()
        self._hold_of_work = None
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


T = TypeVar("T")


_POLL_SECONDS: Final = 0.5
"""How long a wait lasts at a time, so that a signal ends it on every platform."""


class Background(Generic[T]):
    """A call that is under way, or has ended."""

    def __init__(self, call: Callable[[], T]) -> None:
        """Begin the call."""
        self._call = call
        self._result: T
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as failure:  # noqa: BLE001 - it is raised where the run can end
            self._failure = failure

    def ended(self, seconds: float = 0) -> bool:
        """Return whether the call has ended, after waiting for it so long at most."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> T:
        """Wait for the end of the call, and return what it returned.

        Raises:
            BaseException: whatever it raised.
        """
        while not self.ended(_POLL_SECONDS):
            pass
        if self._failure is not None:
            raise self._failure
        return self._result
