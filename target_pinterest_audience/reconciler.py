"""From what rows say to what is sent: events wait in a window that is looked up in the ledger and written together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Final, Protocol

from target_pinterest_audience.ceiling import Ceilings
from target_pinterest_audience.changes import ListDecisions, absorb
from target_pinterest_audience.ledger import Ledger
from target_pinterest_audience.membership import Event, unpack_identity
from target_pinterest_audience.pinterest import Operation
from target_pinterest_audience.window import Origin, Window

WINDOW_ROWS: Final = 200_000
"""How many events are looked up together at most: the more, the fewer pages of a big ledger are read and written."""

WINDOW_SECONDS: Final = 2.0
"""How long an event waits for others at most, so that a full batch leaves within seconds also on a slow stream."""

_BUSY_WINDOW_SECONDS: Final = 10.0
"""The same while events come so fast that a window fills soon."""

_FAST: Final = 10_000
"""Events a second that are fast."""


class Send(Protocol):
    """Where decisions go."""

    def __call__(self, list_number: int, operation: Operation, identities: Sequence[str], lines: Sequence[int]) -> None:
        """Let identities wait for a request."""
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
    _window: Window = field(default_factory=Window)
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
        if not len(self._window):
            self._since = self.clock()

    def _flush_full(self) -> None:
        if len(self._window) >= WINDOW_ROWS:
            self.flush()

    def tick(self) -> None:
        """Work the window off if it has waited for long enough. Raises as `flush` does."""
        if not len(self._window):
            return
        waited = self.clock() - self._since
        fills = len(self._window) >= waited * _FAST
        if waited >= (_BUSY_WINDOW_SECONDS if fills else WINDOW_SECONDS):
            self.flush()

    @property
    def lines(self) -> tuple[int, int] | None:
        """The first and the last line of the stream that are in the window; None if it is empty."""
        if not len(self._window):
            return None
        return self._window.lines[0], self._window.lines[-1]

    def flush(self) -> None:
        """Work the window off: the ledger notes what is about to be sent, then it goes to be sent.

        Raises:
            RemovalCeilingError: more people would leave a list than may. Nothing of the window is noted or sent then.
            TargetError: the ledger cannot be written, or a batch that was filled not be delivered.
        """
        if not len(self._window):
            return
        with self.ledger.transaction():
            decisions = absorb(self.ledger, self.run, self.shorten, self._window, self.overwriting)
            for number, count in self.ceilings.check(decisions).items():
                self.ledger.catalogue.add_derived(number, count)
        for number, decided in decisions.items():
            for operation, run in groupby(_in_order(decided), _operation_of):
                some = list(run)
                identities = [unpack_identity(identity) for _, _, identity in some]
                self.send(number, operation, identities, [line for line, _, _ in some])
        self._window = Window()


def _in_order(decided: ListDecisions) -> list[tuple[int, Operation, bytes]]:
    """Return line, operation and identity in the order of the stream.

    In this order a batch that stays half-full holds back no earlier STATE.
    """
    removals = [(removal.line, Operation.REMOVE, identity) for identity, removal in decided.removals.items()]
    additions = [(line, Operation.ADD, identity) for identity, line in decided.additions.items()]
    return sorted(removals + additions, key=_line_of)


_line_of = itemgetter(0)
_operation_of = itemgetter(1)
