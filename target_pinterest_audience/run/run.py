"""One run: rows come in, identities go out, and STATE leaves when Pinterest has accepted what it covers."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from target_pinterest_audience.errors import ConfigurationError, LedgerError, OutputError, TargetError
from target_pinterest_audience.identities.list_names import NO_LIST
from target_pinterest_audience.membership.row import RowWriter
from target_pinterest_audience.reporting.progress import Snapshot
from target_pinterest_audience.routing.plan import FormerLists
from target_pinterest_audience.routing.stream import StreamShape
from target_pinterest_audience.run.append import AppendingWriter
from target_pinterest_audience.run.dispatcher import Dispatcher
from target_pinterest_audience.run.incremental import incremental_streams
from target_pinterest_audience.run.refusals import Refusals, RowOwner

if TYPE_CHECKING:
    from target_pinterest_audience.delivery.delivery import Delivery
    from target_pinterest_audience.identities.tally import StreamTally
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.pinterest.models import CustomerList
    from target_pinterest_audience.pinterest.transport import Traffic
    from target_pinterest_audience.reconcile.refused_members import RefusedMembers
    from target_pinterest_audience.reconcile.upserts import Upserts
    from target_pinterest_audience.routing.orders import ListReport
    from target_pinterest_audience.routing.plan import ListPlan, ListReference
    from target_pinterest_audience.run.states import StateGate

STATE_PATIENCE_SECONDS: Final = 60.0
"""How long a STATE waits for batches to fill before they are sent half-full."""

_HISTORY_SECONDS: Final = 2.0
"""How long the last word in the ledger may take: after a signal there is little time, and it covers nothing."""


class FindLedger(Protocol):
    """Opens the ledger."""

    def __call__(self, *, create: bool) -> Ledger | None:
        """Return it; None if there is none and none is to be created."""
        ...


class MakeUpserts(Protocol):
    """Begins a run in the ledger."""

    def __call__(self, ledger: Ledger, delivery: Delivery, *, in_history: bool) -> Upserts:
        """Begin it; `in_history` says whether the history for people has it."""
        ...


class Sync:
    """One run: routes rows through the ledger (upsert) or straight to delivery (append-only).

    It releases STATE once everything before it is accepted.
    """

    def __init__(
        self,
        delivery: Delivery,
        find_ledger: FindLedger,
        make_upserts: MakeUpserts,
        find_former: Callable[[Ledger, str, Collection[ListReference]], FormerLists],
        gate: StateGate,
        *,
        keeps_record: bool = False,
    ) -> None:
        """Prepare; nothing is opened before a stream needs it.

        Args:
            delivery: where identities go.
            find_ledger: opens the ledger.
            make_upserts: begins a run in the ledger.
            find_former: returns the lists that a source has fed; see `former_lists`.
            gate: holds back each STATE until what it covers was accepted. If it is closed, it opens when a stream with
                identities comes, or at the end.
            keeps_record: whether the ledger is made, if there is none, only to note that the run ended cleanly.
        """
        self._delivery = delivery
        self._keeps_record = keeps_record
        self._refusals = Refusals()
        self._dispatcher = Dispatcher(delivery, states=gate, refusals=self._refusals)
        self._find_ledger = find_ledger
        self._make_upserts = make_upserts
        self._find_former = find_former
        self._gate = gate
        self._ledger: Ledger | None = None
        self._upserts: Upserts | None = None
        self._appends = False
        self._appended: set[ListReference] = set()
        self._upserted: set[ListReference] = set()
        self._streams: set[str] = set()
        self._incremental: set[str] = set()
        self._failure: TargetError | None = None
        self._stopped = False

    def append(self, shape: StreamShape) -> RowWriter:
        """Make ready for a stream whose identities are all sent.

        Raises:
            ConfigurationError: the ledger knows one of its lists: what is sent past it could never be removed.
            TargetError: a list cannot be looked up, or the ledger not be read.
        """
        self._appends = True
        ledger = self._open_ledger(create=False)

        @functools.cache
        def references(list_name: str | None) -> Mapping[str, ListReference]:
            plans = shape.plan(list_name) if list_name != NO_LIST else {}
            for plan in plans.values():
                self._open_past(ledger, plan)
            return {column: plan.reference for column, plan in plans.items()}

        if not shape.routed:
            references(None)
        suppressed = ledger.catalogue.suppressions.all() if ledger is not None else frozenset()
        self._gate.open()
        return AppendingWriter(shape, references, self._dispatcher, suppressed)

    def _open_past(self, ledger: Ledger | None, plan: ListPlan) -> None:
        """Make ready for a list that the ledger has nothing to do with.

        Raises:
            ConfigurationError: it has.
        """
        found = self._delivery.open(plan)
        if plan.reference in self._upserted or (ledger is not None and _knows(ledger, plan.reference, found)):
            msg = (
                f"{plan.reference} is kept in step by the ledger, and `load_method: append-only` would send people "
                "past it who could then never be removed. Use `upsert`, or another list."
            )
            raise ConfigurationError(msg)
        self._appended.add(plan.reference)

    def upsert(self, shape: StreamShape) -> RowWriter:
        """Make ready for a stream whose rows the ledger remembers.

        Raises:
            TargetError: the ledger, a lock or a list cannot be had.
        """

        def plan(list_name: str | None) -> Mapping[str, ListPlan]:
            plans = shape.plan(list_name)
            for each in plans.values():
                if each.reference in self._appended:
                    msg = (
                        f"{each.reference} is fed by streams of `load_method: append-only` and of another one. Use one "
                        "method for all streams that feed a list."
                    )
                    raise ConfigurationError(msg)
                self._upserted.add(each.reference)
            return plans

        if self._upserts is None:
            ledger = self._open_ledger(create=True)
            assert ledger is not None  # noqa: S101 - it was to be made
            self._upserts = self._make_upserts(ledger, self._delivery, in_history=True)
            self._dispatcher.remember_in(self._upserts)
        writer = self._upserts.open(replace(shape, plan=plan))
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
        """Note a stream of the run, and whether its SCHEMA shows signs of an incremental read."""
        self._streams.add(raw_stream)
        if incremental:
            self._incremental.add(raw_stream)

    def note_rows(self, line: int, count: int, owner: RowOwner) -> None:
        """Note who to tell if Pinterest refuses somebody from rows that follow each other in the stream.

        Args:
            line: the line of the first row.
            count: how many there are.
            owner: who has read them.
        """
        self._refusals.note_rows(line, count, owner)

    def fail_later(self, error: TargetError) -> None:
        """End the run with an error as soon as nothing is half done; the first one counts."""
        self._failure = self._failure or error

    def _fail(self) -> None:
        if self._failure is not None:
            raise self._failure

    def hold_state(self, value: Any, line: int) -> None:  # noqa: ANN401 - any JSON value
        """Take a STATE in; it leaves as soon as everything before it was accepted.

        Raises:
            TargetError: it kept a former one waiting for too long, and a batch could not be delivered.
        """
        self._incremental.update(incremental_streams(value))
        self._gate.arrived(value, line, self._delivery.watermark.newest)
        self.tick()

    def tick(self) -> None:
        """Look up rows, and send half-full batches, that have waited for too long. To be called twice a second or so.

        Raises:
            TargetError: the ledger fails, or a batch could not be delivered.
        """
        if self._upserts is not None:
            self._upserts.tick()
            self._dispatcher.send_all(self._upserts.orders())
        self._dispatcher.settle()
        if self._upserts is not None:
            self._upserts.tidy()
        self._fail()
        line = self._gate.overdue(STATE_PATIENCE_SECONDS)
        if line is not None:
            self.flush(before_line=line)

    def flush(self, before_line: int | None = None) -> None:
        """Look up and send what waits, full batch or not.

        Args:
            before_line: only to lists where something from before this line of the stream waits, and without waiting
                for the answers; None: to all, and until it is accepted.

        Raises:
            TargetError: the ledger fails, or a batch could not be delivered.
        """
        if self._upserts is not None and (before_line is None or self._upserts.waits_for(before_line)):
            self._upserts.flush()
            self._dispatcher.send_all(self._upserts.orders())
        self._dispatcher.flush(before_line)
        if self._upserts is not None:
            self._upserts.tidy()

    def deliver(self) -> None:
        """Send all that waits, and see to the audiences, after a whole stream.

        Raises:
            TargetError: a batch could not be delivered, or an audience not be asked for.
        """
        self._gate.open()
        self.flush()
        self._fail()
        self._delivery.finish()

    def finish(self, *, empty: bool = False) -> None:
        """Note that the run ended cleanly, after `deliver`.

        Args:
            empty: whether neither a row nor a STATE came, so that it is no success.

        Raises:
            LedgerError: it cannot be noted.
        """
        if self._upserts is None:
            # No stream began a run in the ledger, and `prune` must not take the one before for the newest.
            ledger = self._open_ledger(create=self._keeps_record)
            if ledger is None:
                return
            # The history is about what the ledger knows; of what was sent past it there would be no figures.
            self._upserts = self._make_upserts(ledger, self._delivery, in_history=not self._appends)
        # A position under another name may be any stream's: some taps write ids that are not the streams' names.
        strange = self._incremental - self._streams
        self._upserts.end(self._streams if strange else self._incremental, empty=empty)

    def stop(self) -> None:
        """Send nothing more, and write the last STATE that is covered."""
        if self._stopped:
            return
        self._stopped = True
        if self._upserts is not None:
            self._upserts.stop()
        # Who ends before the end knows why; that nobody takes a STATE either is no news then.
        with contextlib.suppress(OutputError):
            self._dispatcher.stop()
        if self._upserts is not None:
            with contextlib.suppress(LedgerError):
                self._upserts.tidy()

    def close(self) -> None:
        """Stop, and let go of the ledger and its locks."""
        try:
            self.stop()
        finally:
            if self._ledger is not None:
                self._ledger.close()

    def end_history(self, exit_code: int, tallies: Iterable[StreamTally], *, empty: bool = False) -> None:
        """Note in the ledger, for people, how the run ended; between `stop` and `close`.

        Args:
            exit_code: the process's.
            tallies: what was read of each stream.
            empty: whether neither a row nor a STATE came.

        Raises:
            LedgerError: it cannot be noted, or not within a moment.
        """
        if self._ledger is None or self._upserts is None:
            return
        deadline = threading.Timer(_HISTORY_SECONDS, self._ledger.interrupt)
        deadline.daemon = True
        deadline.start()
        try:
            self._upserts.end_history(exit_code, tallies, empty=empty)
        finally:
            deadline.cancel()

    @property
    def traffic(self) -> Traffic:
        """How much was asked of Pinterest."""
        return self._delivery.traffic

    @property
    def sign_in_seconds(self) -> float | None:
        """For how long the sign-in held when a token was got by it; None if that is not known."""
        return self._delivery.sign_in_seconds

    def progress(self, rows: int, share: float | None) -> Snapshot:
        """Return how far the run is. May be called from any thread.

        Args:
            rows: how many rows were read.
            share: which share of the stream that is, if that is known; else it is told by the last run.
        """
        requests, identities = self._delivery.accepted_so_far
        if share is None and self._upserts is not None and self._upserts.rows_before > rows:
            share = rows / self._upserts.rows_before
        return Snapshot(
            rows,
            share,
            requests,
            identities,
            self._delivery.under_way,
            self.traffic.held_until - time.monotonic(),
        )

    def lists(self) -> list[ListReport]:
        """Return what was sent to each list, and how many belong on it where that is known."""
        members: Mapping[ListReference, int] = {}
        if self._upserts is not None:
            with contextlib.suppress(LedgerError):
                members = self._upserts.members()
        return self._delivery.lists(members)

    def mass_refusals(self) -> list[RefusedMembers]:
        """Return the lists that so many members left by refusals that a person should look."""
        return self._upserts.mass_refusals() if self._upserts is not None else []

    def _open_ledger(self, *, create: bool) -> Ledger | None:
        self._ledger = self._ledger or self._find_ledger(create=create)
        return self._ledger


def _knows(ledger: Ledger, reference: ListReference, found: CustomerList | None) -> bool:
    """Tell whether a ledger knows a list, by the way of choosing it or by its id."""
    catalogue = ledger.catalogue
    return catalogue.lists.pinned(str(reference)) is not None or (
        found is not None and catalogue.lists.by_id(found.id) is not None
    )
