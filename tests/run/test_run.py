"""One run: STATE is written only after acceptance, a failure ends the run, and each list has one load method."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from target_pinterest_audience.delivery.delivery import Delivery
from target_pinterest_audience.errors import ConfigurationError, LedgerError, RejectedError
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.membership.healing import AT_ONCE
from target_pinterest_audience.pinterest.errors import UnavailableError
from target_pinterest_audience.reconcile.reconciler import WINDOW_SECONDS
from target_pinterest_audience.reconcile.session import Session
from target_pinterest_audience.routing.plan import FormerLists
from target_pinterest_audience.run.run import Run
from target_pinterest_audience.run.states import StateGate
from tests.support.runs import CUSTOMERS, Stage, digest, row
from tests.support.waiting import Clock


class Runs:
    """Makes runs on one ledger and ad account."""

    def __init__(self, folder: Path, clock: Clock, written: list[Any]) -> None:
        self.stage = Stage(folder, clock)
        self.clock = clock
        self.written = written
        self._made: list[Run] = []

    def make(self, *, closed: bool = False, keeps_record: bool = False, **config: Any) -> Run:
        settings = self.stage.settings(**config)

        def begin_session(ledger: Ledger, delivery: Delivery, *, in_history: bool) -> Session:
            logger = logging.getLogger("test")
            return Session(ledger, settings, delivery, logger, self.clock, lambda: 1e9, in_history=in_history)

        run = Run(
            self.stage.delivery(settings),
            self.stage.find_ledger,
            begin_session,
            lambda *_: FormerLists([], []),
            StateGate(self.written.append, self.clock, closed=closed),
            keeps_record=keeps_record,
        )
        self._made.append(run)
        return run

    def close(self) -> None:
        for run in self._made:
            run.close()

    def history(self) -> list[tuple[str, bool | None]]:
        """Return the kind of each entry in the history, and whether it ended as an empty run."""
        ledger = self.stage.open_ledger()
        try:
            return [(each.kind, each.ending.empty if each.ending else None) for each in ledger.history.entries(10)]
        finally:
            ledger.close()

    def noted(self) -> dict[int, list[float | None]]:
        """Return for each list that has notes when each of them is due."""
        ledger = self.stage.open_ledger()
        try:
            due = {number: [*ledger.notes.due_times(number).values()] for number in (1, 2)}
            return {number: times for number, times in due.items() if times}
        finally:
            ledger.close()


@pytest.fixture
def runs(tmp_path: Path, clock: Clock, written: list[Any]) -> Iterator[Runs]:
    made = Runs(tmp_path, clock, written)
    yield made
    made.close()


def upsert(runs: Runs, run: Run, **config: Any) -> Any:
    return run.upsert(runs.stage.shape(runs.stage.settings(**config)))


def test_a_state_is_written_once_everything_before_it_is_accepted(runs: Runs) -> None:
    run = runs.make()
    writer = upsert(runs, run)
    run.hold_state("before any row", 1)
    assert runs.written == ["before any row"]
    writer.write(row(1, 2))
    run.hold_state("after a row", 3)
    assert (runs.written, runs.stage.account.members) == (["before any row"], {})
    run.flush()
    assert runs.written == ["before any row", "after a row"]
    assert runs.stage.account.members == {"1": {digest(1)}}


def test_a_state_does_not_wait_for_rows_after_it(runs: Runs) -> None:
    run = runs.make()
    writer = upsert(runs, run)
    for person in (1, 2):
        writer.write(row(person, person))
    run.hold_state("after a full batch", 3)
    writer.write(row(3, 4))
    run.hold_state("after a row of the next one", 5)
    runs.clock.now += WINDOW_SECONDS
    run.tick()
    assert runs.written == ["after a full batch"]


def test_a_full_batch_leaves_in_time_on_a_slow_stream(runs: Runs) -> None:
    run = runs.make()
    writer = upsert(runs, run)
    for person in (1, 2):
        writer.write(row(person, person))
    run.tick()
    assert runs.stage.account.members == {}
    runs.clock.now += WINDOW_SECONDS
    run.tick()
    assert runs.stage.account.members == {"1": {digest(1), digest(2)}}
    assert runs.noted() == {}


def test_a_flush_before_a_line_sends_the_rows_before_it_only(runs: Runs) -> None:
    run = runs.make()
    upsert(runs, run).write(row(1, 2))
    run.flush(before_line=2)
    assert runs.stage.account.members == {}
    run.flush(before_line=3)
    assert runs.stage.account.members == {"1": {digest(1)}}


def test_what_is_accepted_is_not_noted_any_longer(runs: Runs) -> None:
    run = runs.make()
    upsert(runs, run).write(row(1, 1))
    run.flush()
    assert runs.noted() == {}


def test_a_stop_settles_the_request_that_is_under_way(runs: Runs) -> None:
    account = runs.stage.account
    account.place(CUSTOMERS, [])
    began, may_end = threading.Event(), threading.Event()
    update = account.update_customer_list

    def slowly(*arguments: Any) -> Any:
        began.set()
        assert may_end.wait(20)
        return update(*arguments)

    run = runs.make()
    writer = upsert(runs, run)
    for person in (1, 2):
        writer.write(row(person, person))
    run.hold_state("after the rows", 3)
    with patch.object(account, "update_customer_list", slowly):
        runs.clock.now += WINDOW_SECONDS
        run.tick()
        assert began.wait(20)
        assert (runs.written, len(runs.noted())) == ([], 1)
        may_end.set()
        run.stop()
    assert account.members == {"1": {digest(1), digest(2)}}
    assert (runs.written, runs.noted()) == (["after the rows"], {})


def test_a_run_that_fails_notes_what_it_never_sent(runs: Runs) -> None:
    config: dict[str, Any] = {
        "customer_list_name": None, "list_name_column": "segment", "batch_size_rows": 1,
    }  # fmt: skip
    run = runs.make(**config)
    writer = upsert(runs, run, **config)
    for person, name in ((1, "gold"), (2, "silver")):
        writer.write(row(person, person, name=name))
    refusing = UnavailableError("Pinterest is down")
    with patch.object(runs.stage.account, "create_customer_list", side_effect=refusing):
        with pytest.raises(UnavailableError):
            run.flush()
        run.stop()
    assert runs.noted() == {1: [None], 2: [AT_ONCE]}


def test_a_ledger_that_fails_does_not_hide_why_a_run_stops(runs: Runs) -> None:
    run = runs.make()
    upsert(runs, run)
    with patch.object(Session, "tidy", side_effect=LedgerError("the disk is full")):
        run.stop()


@pytest.mark.parametrize("load_method", ["upsert", "append-only"])
def test_a_failure_ends_the_run_and_holds_the_state_back(runs: Runs, load_method: str) -> None:
    run = runs.make(load_method=load_method)
    shape = runs.stage.shape(runs.stage.settings(load_method=load_method))
    writer = run.append(shape) if load_method == "append-only" else run.upsert(shape)
    writer.write(row(1, 1))
    run.hold_state("after the row", 2)
    refusing = UnavailableError("Pinterest is down")
    with patch.object(runs.stage.account, "create_customer_list", side_effect=refusing):
        with pytest.raises(UnavailableError):
            run.flush()
        run.close()
    assert runs.written == []
    again = runs.make(load_method=load_method)
    if load_method == "upsert":
        upsert(runs, again)
        again.deliver()
        assert runs.stage.account.members == {"1": {digest(1)}}


def test_a_background_error_ends_the_run_at_the_next_tick(runs: Runs) -> None:
    run = runs.make()
    run.fail_later(RejectedError("the first"))
    run.fail_later(RejectedError("the second"))
    with pytest.raises(RejectedError, match="the first"):
        run.tick()


def test_a_run_that_ends_badly_delivers_what_it_read_before(runs: Runs) -> None:
    run = runs.make()
    upsert(runs, run).write(row(1, 1))
    run.hold_state("after the row", 2)
    run.fail_later(RejectedError("too many bad values"))
    with pytest.raises(RejectedError, match="too many"):
        run.deliver()
    assert runs.stage.account.members == {"1": {digest(1)}}
    assert runs.written == ["after the row"]


def test_a_closed_gate_opens_with_the_first_stream(runs: Runs) -> None:
    run = runs.make(closed=True)
    run.hold_state("early", 1)
    assert runs.written == []
    upsert(runs, run)
    run.tick()
    assert runs.written == ["early"]


def test_a_list_fed_through_the_ledger_accepts_no_appended_rows(runs: Runs) -> None:
    run = runs.make()
    upsert(runs, run).write(row(1, 1))
    run.deliver()
    run.close()
    later = runs.make()
    with pytest.raises(ConfigurationError, match="could never be removed"):
        later.append(runs.stage.shape(runs.stage.settings()))


def test_two_streams_of_one_list_must_have_the_same_load_method(runs: Runs) -> None:
    run = runs.make()
    settings = runs.stage.settings()
    run.append(runs.stage.shape(settings, "newcomers"))
    with pytest.raises(ConfigurationError, match="Use one method"):
        run.upsert(runs.stage.shape(settings, CUSTOMERS))


def test_appended_rows_are_sent_without_a_ledger(runs: Runs) -> None:
    run = runs.make()
    writer = run.append(runs.stage.shape(runs.stage.settings()))
    for person, line in ((1, 1), (1, 2), (2, 3)):
        writer.write(row(person, line))
    run.deliver()
    run.finish()
    assert runs.stage.account.members == {"1": {digest(1), digest(2)}}
    assert runs.stage.find_ledger(create=False) is None


def test_an_append_only_run_is_not_in_the_history(runs: Runs) -> None:
    first = runs.make()
    upsert(runs, first)
    first.deliver()
    first.finish()
    first.end_history(0, [])
    first.close()
    second = runs.make()
    second.append(runs.stage.shape(runs.stage.settings(customer_list_name="others")))
    second.deliver()
    second.finish()
    second.end_history(0, [])
    second.close()
    assert runs.history() == [("run", False)]


def test_a_run_without_input_is_recorded_as_empty(runs: Runs) -> None:
    run = runs.make(keeps_record=True)
    run.deliver()
    run.finish(empty=True)
    run.end_history(0, [], empty=True)
    run.close()
    assert runs.history() == [("run", True)]


@pytest.mark.parametrize(("bookmark", "incremental"), [("customers", True), ("a1b2c3", True), ("orders", False)])
def test_a_position_under_an_unknown_name_may_belong_to_any_stream(
    runs: Runs, bookmark: str, *, incremental: bool
) -> None:
    run = runs.make()
    for stream in ("customers", "orders"):
        run.note_stream(stream, incremental=False)
    upsert(runs, run).write(row(1, 1))
    position = {"replication_key": "updated", "replication_key_value": "2026-11-01"}
    run.hold_state({"bookmarks": {bookmark: position}}, 2)
    run.deliver()
    run.finish()
    run.close()
    ledger = runs.stage.open_ledger()
    try:
        (feed,) = ledger.catalogue.runs.feeds(1)
    finally:
        ledger.close()
    assert feed.incremental is incremental


def test_nothing_is_sent_after_a_stop(runs: Runs) -> None:
    run = runs.make()
    upsert(runs, run).write(row(1, 1))
    run.hold_state("after the row", 2)
    run.stop()
    assert (runs.written, runs.stage.account.members) == ([], {})
