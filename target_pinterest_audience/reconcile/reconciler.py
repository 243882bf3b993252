"""The reconciler: collects events in a window, works the window off in the ledger, and yields what to send."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.membership.events import Event
from target_pinterest_audience.reconcile.background import Background
from target_pinterest_audience.reconcile.ceiling import Ceilings
from target_pinterest_audience.reconcile.notes import Outgoing, note_decisions
from target_pinterest_audience.reconcile.sources.source_run import SourceRun
from target_pinterest_audience.reconcile.windows.absorb import NewRows, absorb, suppose_new
from target_pinterest_audience.reconcile.windows.decisions import movements
from target_pinterest_audience.reconcile.windows.window import Origin, Window
from target_pinterest_audience.watermark import Hold, Watermark

WINDOW_VALUES: Final = 150_000
"""How many rows, times their identity columns, a window holds. The more, the fewer pages of a big ledger are read and
written, and the more memory it takes."""

_NEW_SHARE: Final = 0.5
"""The share of that which is enough if the rows are probably new: two such windows take more memory. If rows name their
lists, they fill a whole window: there may be thousands of lists, and each takes time in each window."""

WINDOW_SECONDS: Final = 2.0
"""How long an event waits for others at most, so that a full batch leaves within seconds on a slow stream, too."""

_BUSY_WINDOW_SECONDS: Final = 10.0
"""The same while events come so fast that a window fills soon."""

_FAST: Final = 10_000
"""How many events a second are fast."""

_MOMENT_SECONDS: Final = 0.05


class AcceptedNotes(Protocol):
    """The notes that Pinterest has accepted since they were last deleted."""

    def tidy(self) -> None:
        """Delete them from the ledger."""
        ...


class _Worked(NamedTuple):
    """The result of a window."""

    outgoing: list[Outgoing]
    all_new: bool


class _Queued(NamedTuple):
    """A note of a window that is not handed over yet.

    Attributes:
        outgoing: the note.
        hold: holds the watermark for what is left of the window.
        first_line: the first line of this note and of all later ones of the window.
    """

    outgoing: Outgoing
    hold: Hold
    first_line: int


def _queue(notes: list[Outgoing], hold: Hold) -> list[_Queued]:
    """Return the notes of a window as they are queued. They are ordered by list, not by line."""
    first_lines = [*accumulate((each.first_line for each in reversed(notes)), min)]
    return [_Queued(each, hold, first) for each, first in zip(notes, reversed(first_lines), strict=True)]


@dataclass(slots=True)
class Reconciler:
    """Keeps the ledger in step with a stream, and yields what to send for that.

    Attributes:
        ledger: the ledger.
        shorten: returns the keyed digest of an identity.
        ceilings: limit the removals from each list.
        watermark: the watermark of the stream; held for events that are not handed over yet.
        clock: monotonic time in seconds.
        accepted: what is deleted between windows: in a long load, the ledger may be free only then.
        sources: the sources of the run, by the ledger's numbers.
        expect_new: whether the next rows are probably unknown to the ledger, so that it inserts them without looking
            them up.
    """

    ledger: Ledger
    shorten: Callable[[bytes], bytes]
    ceilings: Ceilings
    watermark: Watermark
    clock: Callable[[], float]
    accepted: AcceptedNotes
    sources: dict[int, SourceRun] = field(default_factory=dict)
    expect_new: bool = False
    _window: Window = field(default_factory=Window)
    """The events that wait."""
    _working_off: Window | None = None
    """The window that is being processed; it stays here if that fails."""
    _work: Background[_Worked] | None = None
    """The work on it, while the stream is read on."""
    _outgoing: deque[_Queued] = field(default_factory=deque)
    """What is noted and not handed over yet."""
    _hold: Hold | None = None
    """Holds the watermark for the events that wait."""
    _hold_of_work: Hold | None = None
    """Holds it for the window that is being processed."""
    _since: float = 0.0

    def put(self, row: bytes, event: Event, origin: Origin) -> None:
        """Add an event of a row to the window.

        Raises:
            TargetError: the event filled the window, and the window before it could not be written.
        """
        self._begin(event.line)
        self._window.put(row, event, origin)
        self.watermark.reach(event.line)
        self._flush_full()

    def put_final_states(
        self,
        rows: Sequence[bytes],
        final_states: Sequence[bytes],
        lines: Sequence[int],
        origin: Origin,
        values: int,
        held: Collection[int] = (),
        routes: Mapping[int, Mapping[int, int]] = MappingProxyType({}),
    ) -> None:
        """Add events to the window; see `Window.put_final_states`. Raises as `put` does."""
        self._begin(lines[0])
        self._window.put_final_states(rows, final_states, lines, origin, values, held, routes)
        self.watermark.reach(lines[-1])
        self._flush_full()

    def _begin(self, line: int) -> None:
        if not self._window:
            self._since = self.clock()
            if self._hold is None:
                self._hold = self.watermark.hold(line)

    def _flush_full(self) -> None:
        if self._window.values >= WINDOW_VALUES * self._share():
            # The window before this one may still be processed.
            new = suppose_new(self.ledger, self._window, self.shorten) if self.expect_new else None
            self.collect()
            self.accepted.tidy()
            # While this window is processed, the orders of the one before are sent, and the next one is read.
            window = self._close_window()
            self._work = Background(lambda: self._work_off(window, new))

    def _share(self) -> float:
        return _NEW_SHARE if self.expect_new and not self._window.names_lists else 1

    @property
    def idle(self) -> bool:
        """Whether the ledger is free: no window is being processed."""
        return self._work is None

    @property
    def ledger_is_free(self) -> bool:
        """Whether nothing uses the ledger; the result of a window may still have to be collected."""
        return self._work is None or self._work.ended()

    @property
    def hangs(self) -> bool:
        """Whether a window is still being processed after `stop`."""
        return not self.ledger_is_free

    def tick(self) -> None:
        """Work the window off if it has waited long enough. Raises as `flush` does."""
        if self._work is not None and self._work.ended():
            self.collect()
        if not self._window:
            return
        waited = self.clock() - self._since
        fills = len(self._window) >= waited * _FAST
        if waited >= (_BUSY_WINDOW_SECONDS if fills else WINDOW_SECONDS):
            self.flush()

    def flush(self) -> None:
        """Work the window off. After that `orders` yields everything that follows from it.

        Raises:
            RemovalCeilingError: more people would leave a list than the settings allow. Then nothing of the window is
                noted or sent.
            TargetError: the ledger cannot be written.
        """
        self.collect()
        if self._window:
            new = suppose_new(self.ledger, self._window, self.shorten) if self.expect_new else None
            window = self._close_window()
            self._take(self._work_off(window, new))

    def orders(self) -> Iterator[Outgoing]:
        """Yield what is noted and not handed over; each counts as handed over when the next one is requested."""
        while self._outgoing:
            outgoing, hold, first_line = self._outgoing[0]
            # The window held the watermark from its first line on; what is left of it needs only its own lines.
            if hold.line is not None and first_line > hold.line:
                hold.move(first_line)
            yield outgoing
            self._outgoing.popleft()
            if not self._outgoing or self._outgoing[0].hold is not hold:
                hold.release()

    def not_handed_over(self) -> list[tuple[int, int]]:
        """Return the notes that were not handed over, as list and note."""
        worked = self._work.result_so_far() if self._work is not None else None
        outgoing = [*(each.outgoing for each in self._outgoing), *(worked.outgoing if worked is not None else ())]
        return [(each.list_number, each.note) for each in outgoing]

    def waits_for(self, line: int) -> bool:
        """Return whether something from before a line of the stream is not handed over yet."""
        holds = [self._hold, self._hold_of_work, *(each.hold for each in self._outgoing)]
        return any(each is not None and each.line is not None and each.line < line for each in holds)

    def stop(self, seconds: float) -> None:
        """Abort the work on a window, unless the ledger has noted it by then.

        Args:
            seconds: how long to wait for the work to end.
        """
        # Another thread may be waiting for the database.
        self.ledger.interrupt()
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
        """Wait until the ledger is free, and take the result of the window. Raises as `flush` does."""
        if self._work is not None:
            worked = self._work.result()
            self._work = None
            self._take(worked)

    def _take(self, worked: _Worked) -> None:
        hold = self._hold_of_work
        assert hold is not None  # noqa: S101 - a window that is processed has one
        self._outgoing.extend(_queue(worked.outgoing, hold))
        if not worked.outgoing:
            hold.release()
        self._hold_of_work = None
        self.expect_new = worked.all_new
        if self._working_off is not None:
            self._working_off.count()
        self._working_off = None

    def _work_off(self, window: Window, new: NewRows | None = None) -> _Worked:
        self.ledger.tidy(len(window))
        work = _Work(self, window, new)
        return self.ledger.transact(work.write, work.undo)


class _Work:
    """The work on a window, which can be done again."""

    def __init__(self, reconciler: Reconciler, window: Window, new: NewRows | None) -> None:
        """Begin.

        Args:
            reconciler: the reconciler.
            window: the window.
            new: its changes if all rows are new; None if they cannot be.
        """
        self._reconciler = reconciler
        self._window = window
        self._new = new
        self._undo_ceilings = reconciler.ceilings.checkpoint()
        self._undo_sources = [each.checkpoint() for each in reconciler.sources.values()]

    def write(self) -> _Worked:
        """Write what the window changes, within a transaction of the caller.

        Raises:
            RemovalCeilingError: more people would leave a list than the settings allow.
        """
        ledger, sources = self._reconciler.ledger, self._reconciler.sources
        decisions = self._new.write(ledger, sources) if self._new is not None else None
        all_new = decisions is not None
        if decisions is None:
            decisions, all_new = absorb(ledger, sources, self._reconciler.shorten, self._window)
        self._reconciler.ceilings.count(ledger.catalogue, movements(decisions))
        return _Worked(note_decisions(ledger, decisions), all_new)

    def undo(self) -> None:
        """Take back what `write` changed in memory."""
        self._window.reset_tallies()
        self._undo_ceilings()
        for undo in self._undo_sources:
            undo()
        # It has counted in the former tallies of the window.
        self._new = None
