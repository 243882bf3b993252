"""Windows that are processed while the stream is read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.ledger.catalogue.loaders import Kinship
from target_pinterest_audience.ledger.sqlite.sqlite_ledger import SqliteLedger
from target_pinterest_audience.membership.events import Event, Kind, Named, Plan, Slot
from target_pinterest_audience.reconcile import notes, reconciler
from target_pinterest_audience.reconcile.ceiling import Ceilings
from target_pinterest_audience.reconcile.reconciler import Reconciler
from target_pinterest_audience.reconcile.sources.source_run import SourceRun
from target_pinterest_audience.reconcile.windows.window import Origin
from target_pinterest_audience.routing.holdout import HoldOut
from target_pinterest_audience.watermark import Watermark
from tests.support.ledgers import cut_twice
from tests.support.messages import sha256
from tests.support.waiting import Clock

WINDOW: Final = 3
SLOT: Final = 1


class SlowLedger(SqliteLedger):
    """A ledger whose transactions end when the test says so, or fail."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "https://127.0.0.1", "1", wait_seconds=1)
        self.may_end = threading.Event()
        self.began = threading.Event()
        self.failure: Exception | None = None
        self.slow = True

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with super().transaction():
            yield
            if getattr(self, "slow", False):
                self.began.set()
                assert self.may_end.wait(20)
                if self.failure is not None:
                    raise self.failure


class Desk:
    """A reconciler, and what it hands over."""

    def __init__(self, path: Path) -> None:
        self.ledger = SlowLedger(path / "ledger.db")
        self.ledger.slow = False
        with self.ledger.transaction():
            self.list_number = self.ledger.catalogue.lists.add("1", "customers").number
        self.ledger.slow = True
        self.sent: list[int] = []
        self.plan = Plan(1, frozenset({self.list_number}), {SLOT: Slot("email", "EMAIL")}, frozenset({SLOT}))
        self.tally = StreamTally("customers")
        self.watermark = Watermark()
        ceilings = Ceilings(20, lambda _: ("", ""), lambda: 0.0, deleted_percent=50)
        self.reconciler = Reconciler(
            self.ledger, lambda identity: identity, ceilings, self.watermark, lambda: 0.0, accepted=self
        )
        self.reconciler.sources[1] = SourceRun(1, mark=1)

    def tidy(self) -> None:
        """Nothing is accepted here."""

    def send(self) -> None:
        for outgoing in self.reconciler.orders():
            assert (self.watermark.floor() or 0) <= outgoing.first_line
            self.sent += [line for sending in outgoing.sendings for line in sending.lines]

    def put(self, line: int, row: int | None = None, kind: Kind = Kind.ARRIVED) -> None:
        """Put a row that is new unless a number is given."""
        row = line if row is None else row
        named = (Named(self.list_number, SLOT, pack_identity(sha256(str(row)))),)
        event = Event(kind, named, self.plan.slots, self.plan, line)
        self.reconciler.put(row.to_bytes(16, "big"), event, Origin(kind, self.plan, self.tally))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(reconciler, "WINDOW_VALUES", WINDOW)
    monkeypatch.setattr(reconciler, "_NEW_SHARE", 1)
    desk = Desk(tmp_path)
    yield desk
    desk.ledger.may_end.set()
    desk.reconciler.stop(10)
    desk.ledger.close()


def test_the_stream_is_read_while_a_window_is_processed(desk: Desk) -> None:
    for line in range(1, 6):
        desk.put(line)
    assert desk.ledger.began.wait(20)
    assert not desk.reconciler.idle
    assert (desk.watermark.floor(), desk.watermark.newest) == (1, 5)
    assert (desk.sent, desk.tally.added) == ([], 0)
    desk.ledger.may_end.set()
    desk.put(6)
    desk.reconciler.flush()
    assert desk.watermark.floor() == 1
    desk.send()
    assert desk.sent == [1, 2, 3, 4, 5, 6]
    assert desk.tally.added == 6
    assert desk.watermark.floor() is None


def test_a_processed_window_leaves_at_the_next_tick(desk: Desk) -> None:
    for line in range(1, 4):
        desk.put(line)
    desk.reconciler.tick()
    desk.send()
    assert desk.sent == []
    desk.ledger.may_end.set()
    desk.reconciler.collect()
    desk.send()
    assert desk.sent == [1, 2, 3]


def test_a_line_is_waited_for_until_its_note_is_handed_over(desk: Desk) -> None:
    def waits() -> tuple[bool, bool]:
        return desk.reconciler.waits_for(1), desk.reconciler.waits_for(2)

    for line in range(1, 4):
        desk.put(line)
    assert not desk.reconciler.idle
    assert waits() == (False, True)
    desk.ledger.may_end.set()
    desk.reconciler.collect()
    assert waits() == (False, True)
    desk.send()
    assert waits() == (False, False)


def test_the_watermark_reaches_the_last_line_of_a_block(desk: Desk) -> None:
    origin = Origin(Kind.ARRIVED, desk.plan, desk.tally)
    desk.reconciler.put_final_states([b"1" * 16, b"2" * 16], [b"", b""], [4, 5], origin, values=2)
    assert (desk.watermark.floor(), desk.watermark.newest) == (4, 5)


def test_a_window_waits_longer_while_rows_come_fast(desk: Desk, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(reconciler, "WINDOW_VALUES", 1_000)
    monkeypatch.setattr(reconciler, "_FAST", 10)
    desk.ledger.may_end.set()
    desk.reconciler.clock = clock
    sent = []
    for begin, rows, seconds in ((100, 19, 1.9), (200, 19, 2), (300, 100, 9.9), (400, 100, 10)):
        clock.now = begin
        for row in range(begin, begin + rows):
            desk.put(row)
        clock.now = begin + seconds
        desk.reconciler.tick()
        desk.send()
        sent.append(len(desk.sent))
        desk.reconciler.flush()
        desk.send()
    assert sent == [0, 38, 38, 238]


def test_a_window_holds_only_the_lines_that_are_left_of_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "_IN_A_NOTE", 2)
    desk.ledger.may_end.set()
    for line in range(1, 4):
        desk.put(line)
    desk.reconciler.flush()
    assert [(desk.watermark.floor(), outgoing.first_line) for outgoing in desk.reconciler.orders()] == [(1, 1), (3, 3)]
    assert desk.watermark.floor() is None


def test_a_window_that_changes_nothing_holds_nothing(desk: Desk) -> None:
    desk.ledger.may_end.set()
    for line in (1, 2):
        desk.put(line, row=1)
        desk.reconciler.flush()
        desk.send()
    assert (desk.sent, desk.watermark.floor()) == ([1], None)


def test_a_window_that_fails_ends_the_run_and_no_state_covers_it(desk: Desk) -> None:
    desk.ledger.failure = LedgerError("the disk is full")
    desk.ledger.may_end.set()
    for line in range(1, 6):
        desk.put(line)
    with pytest.raises(LedgerError, match="disk is full"):
        desk.put(6)
    assert (desk.watermark.floor(), desk.watermark.newest) == (1, 6)
    assert (desk.sent, desk.tally.added) == ([], 0)
    desk.reconciler.stop(1)
    assert (desk.watermark.floor(), desk.watermark.newest) == (1, 6)


def test_rows_that_are_held_out_count_once_though_they_were_taken_for_new(desk: Desk) -> None:
    desk.ledger.may_end.set()
    desk.plan = replace(desk.plan, holdout=HoldOut(50, "s"))
    desk.reconciler.expect_new = True
    lines = iter(range(1, 1_000))
    for _ in range(3):
        for row in range(WINDOW * 4):
            desk.put(next(lines), row)
    desk.reconciler.flush()
    desk.send()
    assert 0 < desk.tally.held_out < WINDOW * 4 * 3
    assert desk.tally.held_out + desk.tally.added + desk.tally.unchanged == WINDOW * 4 * 3


@pytest.mark.parametrize("expect_new", [True, False])
def test_a_window_that_is_processed_again_counts_once(desk: Desk, *, expect_new: bool) -> None:
    cut_twice(desk.ledger)
    desk.ledger.may_end.set()
    desk.reconciler.expect_new = expect_new
    for line in range(1, 21):
        desk.put(line)
    desk.put(21, row=20)
    desk.put(22, row=22)
    desk.reconciler.flush()
    assert (desk.tally.added, desk.tally.duplicates, desk.tally.unchanged) == (21, 1, 0)
    # Counted twice, these would be more than the ceiling allows.
    for line, row in enumerate(range(1, 9), 23):
        desk.put(line, row, Kind.DELETED)
    desk.reconciler.flush()
    assert desk.tally.named_for_removal == 8
    desk.send()
    assert sorted(desk.sent) == [*range(1, 21), *range(22, 31)]
    assert desk.ledger.catalogue.lists.entry(desk.list_number).members == 13


def test_what_a_window_showed_of_two_tables_is_forgotten_with_it() -> None:
    source = SourceRun(1, unclear_lists={7: Kinship(5, 1), 8: Kinship(0, 0)}, foreign_lists={8})
    foreign = source.foreign_lists
    undo = source.checkpoint()
    # A server can restart again while the window is processed again.
    for _ in range(2):
        source.unclear_lists[7] = Kinship(5, 9)
        source.foreign_lists.add(7)
        source.foreign_lists.discard(8)
        undo()
        assert source.unclear_lists == {7: Kinship(5, 1), 8: Kinship(0, 0)}
        assert source.foreign_lists == {8}
    # Plans share it.
    assert source.foreign_lists is foreign
