"""From what rows say to what is sent: events wait in a window that is looked up in the ledger and written together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from target_pinterest_audience.ceiling import Ceilings
from target_pinterest_audience.ledger import Ledger
from target_pinterest_audience.membership import Event, unpack_identity
from target_pinterest_audience.pinterest import Operation
from target_pinterest_audience.tally import StreamTally
from target_pinterest_audience.window import Decision, Waiting, absorb

WINDOW_ROWS: Final = 50_000
"""How many events are looked up together at most: the more, the fewer pages of a big ledger are read and written."""

WINDOW_SECONDS: Final = 2.0
"""How long an event waits for others at most, so that a full batch leaves within seconds also on a slow stream."""


class Send(Protocol):
    """Where decisions go."""

    def __call__(self, list_number: int, operation: Operation, identity: str, line: int) -> None:
        """Let an identity wait for a request."""
        ...


@dataclass(slots=True)
class Reconciler:
    """Keeps the ledger in step with a stream, and tells what has to be sent for that.

    Attributes:
        ledger: what rows said before.
        run: the number of this run, with which rows are marked as seen.
        shorten: the keyed digest of an identity.
        ceilings: how many may leave each list unasked.
        send: takes what is to be sent, after the ledger has noted it.
        clock: seconds that only ever grow.
        overwriting: the sources whose unchanged rows are marked as seen too, for `prune`.
    """

    ledger: Ledger
    run: int
    shorten: Callable[[bytes], bytes]
    ceilings: Ceilings
    send: Send
    clock: Callable[[], float]
    overwriting: set[int] = field(default_factory=set)
    _window: list[Waiting] = field(default_factory=list)
    _since: float = 0.0

    def put(self, row: bytes, event: Event, tally: StreamTally) -> None:
        """Take in an event of a row.

        Raises:
            TargetError: it filled the window, and the window could not be written or what follows not be delivered.
        """
        if not self._window:
            self._since = self.clock()
        self._window.append(Waiting(row, event, tally))
        if len(self._window) >= WINDOW_ROWS:
            self.flush()

    def tick(self) -> None:
        """Work the window off if it has waited for long enough. Raises as `flush` does."""
        if self._window and self.clock() - self._since >= WINDOW_SECONDS:
            self.flush()

    @property
    def lines(self) -> tuple[int, int] | None:
        """The first and the last line of the stream that are in the window; None if it is empty."""
        if not self._window:
            return None
        return self._window[0].event.line, self._window[-1].event.line

    def flush(self) -> None:
        """Work the window off: the ledger notes what is about to be sent, then it goes to be sent.

        Raises:
            RemovalCeilingError: more people would leave a list than may. Nothing of the window is noted or sent then.
            TargetError: the ledger cannot be written, or a batch that was filled not be delivered.
        """
        if not self._window:
            return
        with self.ledger.transaction():
            decisions = absorb(self.ledger, self.run, self.shorten, self._window, self.overwriting)
            for number, count in self.ceilings.check(decisions).items():
                self.ledger.catalogue.add_derived(number, count)
        for number, of_list in decisions.items():
            # In the order of the stream, so that a batch that stays half-full holds back no earlier STATE.
            for identity, decision in sorted(of_list.items(), key=_by_line):
                self.send(number, decision.operation, unpack_identity(identity), decision.line)
        self._window = []


def _by_line(decided: tuple[bytes, Decision]) -> int:
    return decided[1].line
