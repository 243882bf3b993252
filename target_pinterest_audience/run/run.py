"""One run: rows come in, identities go out, and STATE is written once Pinterest has accepted everything before it."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from target_pinterest_audience.errors import LedgerError, OutputError, TargetError
from target_pinterest_audience.identities.list_names import NO_LIST
from target_pinterest_audience.membership.row import RowWriter
from target_pinterest_audience.reporting.progress import Snapshot
from target_pinterest_audience.routing.plan import FormerLists
from target_pinterest_audience.routing.stream import StreamShape
from target_pinterest_audience.run.append import AppendingWriter
from target_pinterest_audience.run.dispatcher import Dispatcher
from target_pinterest_audience.run.incremental import incremental_streams
from target_pinterest_audience.run.list_methods import ListMethods
from target_pinterest_audience.run.refusals import Refusals

if TYPE_CHECKING:
    from target_pinterest_audience.delivery.delivery import Delivery
    from target_pinterest_audience.identities.tally import StreamTally
    from target_pinterest_audience.ledger.catalogue.runs import RejectCounts
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.reconcile.refused_members import RefusedMembers
    from target_pinterest_audience.reconcile.session import Session
    from target_pinterest_audience.routing.orders import ListReport, ListSize
    from target_pinterest_audience.routing.plan import ListPlan, ListReference
    from target_pinterest_audience.run.states import StateGate

STATE_PATIENCE_SECONDS: Final = 60.0
"""How long a STATE waits for batches to fill before they are sent half-full."""

_HISTORY_SECONDS: Final = 2.0
"""How long the history entry may take at the end: after a signal there is little time, and no STATE depends on it."""


class FindLedger(Protocol):
    """Opens the ledger."""

    def __call__(self, *, create: bool) -> Ledger | None:
        """Return the ledger; None if there is none and `create` is false."""
        ...


class BeginSession(Protocol):
    """Begins a session in the ledger."""

    def __call__(self, ledger: Ledger, delivery: Delivery, *, in_history: bool) -> Session:
        """Return the session; `in_history` says whether to enter the run in the history for people."""
        ...


class Run:
    """One run: routes rows through the ledger (upsert) or straight to delivery (append-only).

    It releases a STATE once everything before it is accepted.

    Attributes:
        delivery: sends to the lists.
        refusals: finds the streams of identities that Pinterest refuses.
    """

    def __init__(
        self,
        delivery: Delivery,
        find_ledger: FindLedger,
        begin_session: BeginSession,
        find_former: Callable[[Ledger, str, Collection[ListReference]], FormerLists],
        gate: StateGate,
        *,
        keeps_record: bool = False,
    ) -> None:
        """Prepare a run. The ledger is opened when a stream needs it.

        Args:
            delivery: sends to the lists.
            find_ledger: opens the ledger.
            begin_session: begins a session in the ledger.
            find_former: returns the lists that a source has fed; see `former_lists`.
            gate: holds back STATE. A closed gate opens when a stream with identities comes, or at the end.
            keeps_record: whether to create a ledger only to record that the run ended cleanly.
        """
        self.delivery = delivery
        self.refusals = Refusals()
        self._keeps_record = keeps_record
        self._dispatcher = Dispatcher(delivery, states=gate, refusals=self.refusals)
        self._find_ledger = find_ledger
        self._begin_session = begin_session
        self._find_former = find_former
        self._gate = gate
        self._ledger: Ledger | None = None
        self._session: Session | None = None
        self._methods = ListMethods()
        self._appends = False
        self._streams: set[str] = set()
        self._incremental: set[str] = set()
        self._failure: TargetError | None = None
        self._stopped = False

    def append(self, shape: StreamShape) -> RowWriter:
        """Open an `append-only` stream, and return the writer of its rows.

        Raises:
            ConfigurationError: the ledger feeds one of the lists, so people whom this stream adds could not be removed.
            TargetError: a list cannot be looked up, or the ledger cannot be read.
        """
        self._appends = True
        ledger = self._open_ledger(create=False)

        @functools.cache
        def references(list_name: str | None) -> Mapping[str, ListReference]:
            plans = shape.plan(list_name) if list_name != NO_LIST else {}
            for plan in plans.values():
                self._methods.append(plan.reference, self.delivery.open(plan), ledger)
            return {column: plan.reference for column, plan in plans.items()}

        if not shape.routed:
            references(None)
        suppressed = ledger.catalogue.suppressions.all() if ledger is not None else frozenset()
        self._gate.open()
        return AppendingWriter(shape, references, self._dispatcher, suppressed)

    def upsert(self, shape: StreamShape) -> RowWriter:
        """Open a stream whose rows pass through the ledger, and return the writer of its rows.

        Raises:
            TargetError: the ledger, a lock or a list is not available.
        """

        def plan(list_name: str | None) -> Mapping[str, ListPlan]:
            plans = shape.plan(list_name)
            for each in plans.values():
                self._methods.upsert(each.reference)
            return plans

        if self._session is None:
            ledger = self._open_ledger(create=True)
            assert ledger is not None  # noqa: S101 - `create` leaves no other result
            self._session = self._begin_session(ledger, self.delivery, in_history=True)
            self._dispatcher.remember_in(self._session.journal)
        writer = self._session.open(replace(shape, plan=plan))
        self._gate.open()
        return writer

    def former_lists(self, source: str, references: Collection[ListReference]) -> FormerLists:
        """Return the lists that a source has fed.

        Args:
            source: its name.
            references: the lists that the settings in use can choose for it.

        Raises:
            LedgerError: the ledger cannot be opened.
        """
        ledger = self._open_ledger(create=False)
        return FormerLists([], []) if ledger is None else self._find_former(ledger, source, references)

    def note_stream(self, raw_stream: str, *, incremental: bool) -> None:
        """Note a stream of the run.

        Args:
            raw_stream: its name in the tap's messages.
            incremental: whether its SCHEMA shows signs of an incremental read.
        """
        self._streams.add(raw_stream)
        if incremental:
            self._incremental.add(raw_stream)

    def fail_later(self, error: TargetError) -> None:
        """End the run with an error once no row is half processed; the first error counts."""
        self._failure = self._failure or error

    def _fail(self) -> None:
        if self._failure is not None:
            raise self._failure

    def hold_state(self, value: Any, line: int) -> None:  # noqa: ANN401 - any JSON value
        """Hold a STATE until everything before it is accepted.

        Args:
            value: the value of the STATE message.
            line: its line in the stream.

        Raises:
            TargetError: a batch could not be delivered.
        """
        self._incremental.update(incremental_streams(value))
        self._gate.arrived(value, line, self.delivery.watermark.newest)
        self.tick()

    def tick(self) -> None:
        """Send what has waited long enough, and settle what was accepted. Called about twice a second.

        Raises:
            TargetError: the ledger fails, or a batch could not be delivered.
        """
        if self._session is not None:
            self._session.tick()
            self._dispatcher.send_all(self._session.orders())
        self._dispatcher.settle()
        if self._session is not None:
            self._session.tidy()
        self._fail()
        line = self._gate.overdue(STATE_PATIENCE_SECONDS)
        if line is not None:
            self.flush(before_line=line)

    def flush(self, before_line: int | None = None) -> None:
        """Process the window and send what waits, in full batches or not.

        Args:
            before_line: send only to lists that wait for something from before this line, and do not wait for answers.
                None: send to all lists, and wait until everything is accepted.

        Raises:
            TargetError: the ledger fails, or a batch could not be delivered.
        """
        if self._session is not None and (before_line is None or self._session.waits_for(before_line)):
            self._session.flush()
            self._dispatcher.send_all(self._session.orders())
        self._dispatcher.flush(before_line)
        if self._session is not None:
            self._session.tidy()

    def deliver(self) -> None:
        """Send everything, and make the audiences, after the last message.

        Raises:
            TargetError: a batch could not be delivered, or Pinterest cannot be asked for an audience.
        """
        self._gate.open()
        self.flush()
        self._fail()
        self.delivery.finish()

    def finish(self, *, empty: bool = False) -> None:
        """Record that the run ended cleanly, after `deliver`.

        Args:
            empty: whether neither a row nor a STATE came. Such a run is no success.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        if self._session is None:
            # No stream used the ledger, but `prune` must not take the run before this one for the newest.
            ledger = self._open_ledger(create=self._keeps_record)
            if ledger is None:
                return
            # The history shows what the ledger knows. It has no figures of lists that `append-only` feeds.
            self._session = self._begin_session(ledger, self.delivery, in_history=not self._appends)
        # A position under an unknown name may belong to any stream: some taps use ids that are no stream names.
        unknown = self._incremental - self._streams
        self._session.end(self._streams if unknown else self._incremental, empty=empty)

    def stop(self) -> None:
        """Send nothing more, and write the last STATE that is covered."""
        if self._stopped:
            return
        self._stopped = True
        if self._session is not None:
            self._session.stop()
        # A run that stops early has its own error; a closed standard output adds nothing to it.
        with contextlib.suppress(OutputError):
            self._dispatcher.stop()
        if self._session is not None:
            with contextlib.suppress(LedgerError):
                self._session.tidy()
                self._session.note_unsent()

    def close(self) -> None:
        """Stop, and close the ledger, which releases its locks."""
        try:
            self.stop()
        finally:
            if self._ledger is not None:
                self._ledger.close()

    def end_history(
        self, exit_code: int, tallies: Iterable[StreamTally], *, empty: bool = False, error: str | None = None
    ) -> None:
        """Write for people how the run ended; called between `stop` and `close`.

        Args:
            exit_code: the exit code of the process.
            tallies: what was read of each stream.
            empty: whether neither a row nor a STATE came.
            error: the error message, if the run failed.

        Raises:
            LedgerError: the ledger cannot be written, or not in time.
        """
        if self._ledger is None or self._session is None:
            return
        deadline = threading.Timer(_HISTORY_SECONDS, self._ledger.interrupt)
        deadline.daemon = True
        deadline.start()
        try:
            self._session.end_history(exit_code, tallies, empty=empty, error=error)
        finally:
            deadline.cancel()

    def progress(self, rows: int, share: float | None) -> Snapshot:
        """Return how far the run is. May be called from any thread.

        Args:
            rows: the number of rows read.
            share: their share of the input, if that is known. Otherwise the last run serves as the measure.
        """
        requests, identities = self.delivery.accepted_so_far
        if share is None and self._session is not None and self._session.rows_before > rows:
            share = rows / self._session.rows_before
        held_seconds = self.delivery.traffic.held_until - time.monotonic()
        return Snapshot(rows, share, requests, identities, self.delivery.under_way, held_seconds)

    def lists(self) -> list[ListReport]:
        """Return what was sent to each list, and how big it is where that is known."""
        sizes: Mapping[ListReference, ListSize] = {}
        if self._session is not None:
            with contextlib.suppress(LedgerError):
                sizes = self._session.sizes()
        return self.delivery.lists(sizes)

    @property
    def rejects_before(self) -> RejectCounts:
        """The values that the last clean run of these settings rejected; empty if that is not known."""
        return self._session.rejects_before if self._session is not None else {}

    def mass_refusals(self) -> list[RefusedMembers]:
        """Return the lists that so many members left by refusals that a person should look at them."""
        return self._session.mass_refusals() if self._session is not None else []

    def large_removals(self) -> list[tuple[str, str]]:
        """Return the id of each list that many people left, and how many; see `Ceilings.large_removals`."""
        return self._session.large_removals() if self._session is not None else []

    def _open_ledger(self, *, create: bool) -> Ledger | None:
        self._ledger = self._ledger or self._find_ledger(create=create)
        return self._ledger
