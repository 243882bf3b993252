"""The session of a run in the ledger: streams are opened, rows become orders, and accepted notes are deleted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from target_pinterest_audience.errors import ConfigurationError, LedgerError
from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.ledger.history import SEVERAL_LISTS
from target_pinterest_audience.membership.events import Kind
from target_pinterest_audience.membership.healing import AT_ONCE, SAFE_SECONDS
from target_pinterest_audience.pinterest.errors import RateLimitedError, RefusedError
from target_pinterest_audience.reconcile import notes, reconciler
from target_pinterest_audience.reconcile.ceiling import Ceilings, MassRefusal
from target_pinterest_audience.reconcile.reconciler import WINDOW_SECONDS
from target_pinterest_audience.reconcile.windows.rows_to_events import KeyedRowWriter, KeylessRowWriter
from target_pinterest_audience.routing.orders import AcceptedRemoval, Batch, ListSize, Order, Receipt
from target_pinterest_audience.routing.plan import ListReference
from target_pinterest_audience.vocabulary import Cause, Operation
from tests.support.runs import CUSTOMERS, Desk, Stage, digest, row
from tests.support.waiting import Clock


@pytest.fixture
def stage(tmp_path: Path, clock: Clock) -> Stage:
    return Stage(tmp_path, clock)


def test_streams_with_and_without_a_key_have_different_writers(stage: Stage) -> None:
    with stage.session() as desk:
        assert isinstance(desk.open(), KeyedRowWriter)
        assert isinstance(desk.open("visitors", key=()), KeylessRowWriter)


def test_rows_become_orders_when_the_window_is_processed(stage: Stage) -> None:
    with stage.session() as desk:
        writer = desk.open()
        writer.write(row(1, 1))
        writer.write(row(2, 2))
        assert list(desk.session.orders()) == []
        assert (desk.session.waits_for(1), desk.session.waits_for(2)) == (False, True)
        desk.session.flush()
        (order,) = desk.session.orders()
        assert order.operation is Operation.ADD
        assert (list(order.identities), list(order.lines)) == ([pack_identity(digest(n)) for n in (1, 2)], [1, 2])
        assert not desk.session.waits_for(3)
        assert list(desk.session.orders()) == []


def test_a_tick_processes_a_window_that_has_waited_long_enough(stage: Stage) -> None:
    with stage.session() as desk:
        desk.open().write(row(1, 1))
        desk.session.tick()
        assert list(desk.session.orders()) == []
        stage.clock.now += WINDOW_SECONDS
        desk.session.tick()
        assert len(list(desk.session.orders())) == 1


def test_unchanged_rows_make_no_orders(stage: Stage) -> None:
    for orders in (1, 0):
        with stage.session() as desk:
            desk.open().write(row(1, 1))
            desk.session.flush()
            found = list(desk.session.orders())
            desk.dispatcher.send_all(found)
            desk.dispatcher.flush()
            desk.session.tidy()
            assert len(found) == orders


def test_a_changed_row_removes_the_former_identity_and_adds_the_new_one(stage: Stage) -> None:
    with stage.session() as desk:
        desk.open().write(row(1, 1))
        desk.send()
    with stage.session() as desk:
        desk.open().write(row(2, 1, key=1))
        desk.session.flush()
        found = {(each.operation, each.identities[0], each.cause) for each in desk.session.orders()}
        assert found == {
            (Operation.ADD, pack_identity(digest(2)), Cause.UNFINISHED),
            (Operation.REMOVE, pack_identity(digest(1)), Cause.CHANGE),
        }


def test_a_deleted_row_becomes_a_removal(stage: Stage) -> None:
    with stage.session() as desk:
        writer = desk.open()
        writer.write(row(1, 1))
        desk.send()
        writer.write(row(1, 2, kind=Kind.DELETED))
        desk.session.flush()
        (order,) = desk.session.orders()
        assert (order.operation, order.cause) == (Operation.REMOVE, Cause.DELETE)


def test_a_note_is_deleted_once_all_its_identities_were_accepted(stage: Stage) -> None:
    with stage.session() as desk:
        desk.open().write(row(1, 1))
        desk.session.flush()
        desk.dispatcher.send_all(desk.session.orders())
        desk.session.tidy()
        assert desk.unsettled() == [[pack_identity(digest(1))]]
        desk.dispatcher.flush()
        desk.session.tidy()
        assert desk.unsettled() == []
        assert list(desk.session.sizes().values()) == [ListSize(1, 1)]


def test_an_order_that_nobody_took_stays_noted(stage: Stage) -> None:
    with stage.session() as desk:
        desk.open().write(row(1, 1))
        desk.session.flush()
        orders = desk.session.orders()
        next(orders)
        desk.session.tidy()
        assert desk.unsettled() == [[pack_identity(digest(1))]]


def test_a_note_stays_until_the_last_of_its_batches_is_accepted(stage: Stage) -> None:
    with stage.session() as desk:
        writer = desk.open()
        for number in (1, 2, 3):
            writer.write(row(number, number))
        desk.session.flush()
        desk.dispatcher.send_all(desk.session.orders())
        desk.dispatcher.settle()
        desk.session.tidy()
        assert stage.account.members == {"1": {digest(1), digest(2)}}
        assert desk.unsettled() == [[pack_identity(digest(number)) for number in (1, 2, 3)]]


def test_leftovers_are_sent_by_the_next_run_after_its_first_window(stage: Stage) -> None:
    with stage.session() as desk:
        desk.open().write(row(1, 1))
        desk.session.flush()
    with stage.session() as desk:
        desk.open()
        assert desk.session.waits_for(1)
        assert desk.delivery.watermark.floor() == 0
        assert list(desk.session.orders()) == []
        desk.send()
        assert stage.account.members == {"1": {digest(1)}}
        assert desk.delivery.watermark.floor() is None


def test_leftovers_are_sent_in_the_direction_that_is_right_by_then(stage: Stage) -> None:
    with stage.session() as desk:
        writer = desk.open()
        writer.write(row(1, 1))
        writer.write(row(2, 2))
        desk.session.flush()
    stage.account.place(CUSTOMERS, [digest(1), digest(2)])
    with stage.session() as desk:
        desk.open().write(row(1, 1, kind=Kind.DELETED))
        desk.send()
    assert stage.account.members == {"1": {digest(2)}}


def test_what_was_accepted_is_settled_if_the_run_stops_while_a_window_is_processed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "WINDOW_VALUES", 4)
    monkeypatch.setattr(reconciler, "_NEW_SHARE", 0.75)
    with stage.session() as desk:
        writer = desk.open()
        for number in range(1, 7):
            writer.write(row(number, number))
        # The first window of three new rows is worked off, and the second one is being worked off.
        assert not desk.session._reconciler.idle
        desk.dispatcher.send_all(desk.session.orders())
        desk.dispatcher.flush()
        assert stage.account.members == {"1": {digest(number) for number in (1, 2, 3)}}
        desk.session.stop()
        desk.session.tidy()
        desk.session.note_unsent()
        # What is noted for the second window was never sent, so it needs no healing once it is.
        assert pack_identity(digest(1)) not in {each for note in desk.unsettled() for each in note}
        assert set(desk.ledger.notes.due_times(1).values()) <= {AT_ONCE}


def test_leftovers_are_settled_as_they_are_accepted(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "_IN_A_NOTE", 2)
    with stage.session() as desk:
        writer = desk.open()
        for number in range(1, 11):
            writer.write(row(number, number))
        desk.session.flush()
        desk.session.note_unsent()
    budget: Iterator[int] = iter(())

    def spend(write: Callable[..., Any]) -> Callable[..., Any]:
        def spending(*arguments: Any, **options: Any) -> Any:
            if next(budget, None) is None:
                msg = "The limit of today is used up."
                raise RateLimitedError(msg, wait_seconds=80_000)
            return write(*arguments, **options)

        return spending

    for name in ("create_customer_list", "update_customer_list"):
        monkeypatch.setattr(stage.account, name, spend(getattr(stage.account, name)))
    left, never_sent = [], []
    for _ in range(3):
        budget = iter(range(2))
        with stage.session(batch_size_rows=2) as desk:
            desk.open()
            with contextlib.suppress(RateLimitedError):
                desk.send()
            desk.dispatcher.stop()
            desk.session.tidy()
            desk.session.note_unsent()
            left.append(len(desk.unsettled()))
            never_sent.append(list(desk.ledger.notes.due_times(1).values()).count(AT_ONCE))
    # Five notes, of which each run has two accepted: a run that sent the first ones again would never come to the end.
    assert left == [3, 1, 0]
    # The request with the third note was refused, the fourth one waited, and nothing was done with the fifth.
    assert never_sent == [1, 0, 0]
    assert stage.account.members == {"1": {digest(number) for number in range(1, 11)}}


def test_leftovers_name_each_identity_once(stage: Stage) -> None:
    one, two = (pack_identity(digest(number)) for number in (1, 2))
    with stage.session() as desk:
        desk.open().write(row(1, 1))
        desk.session.flush()
        desk.ledger.transact(lambda: desk.ledger.notes.add(1, [one, two]))
    with stage.session() as desk:
        desk.open()
        desk.session.flush()
        orders = [(order.operation, list(order.identities)) for order in desk.session.orders()]
        assert orders == [(Operation.ADD, [one]), (Operation.REMOVE, [two])]


def test_leftovers_of_a_list_that_another_stream_names_are_sent(stage: Stage) -> None:
    config = {"customer_list_name": None, "list_name_column": "segment"}
    with stage.session(**config) as desk:
        desk.open().write(row(1, 1, name="gold"))
        desk.session.flush()
    with stage.session(**config) as desk:
        desk.open("visitors").write(row(2, 1, name="gold"))
        desk.send()
    assert stage.account.members == {"1": {digest(1), digest(2)}}


def test_leftovers_do_not_wait_for_rows(stage: Stage) -> None:
    with stage.session() as desk:
        desk.open().write(row(1, 1))
        desk.session.flush()
    with stage.session() as desk:
        desk.open()
        stage.clock.now += WINDOW_SECONDS
        desk.session.tick()
        assert [list(each.identities) for each in desk.session.orders()] == [[pack_identity(digest(1))]]


def test_another_process_cannot_open_the_same_list(stage: Stage) -> None:
    with stage.session() as desk:
        desk.open()
        with stage.session() as second, pytest.raises(LedgerError):
            second.open("other")


def test_a_changed_key_is_refused(stage: Stage) -> None:
    with stage.session() as desk:
        desk.open()
    with stage.session() as desk, pytest.raises(ConfigurationError, match=r"\(id\) and now have \(email\)"):
        desk.open(key=("email",))


def test_a_list_that_rows_name_is_opened_with_its_first_row(stage: Stage) -> None:
    with stage.session(customer_list_name=None, list_name_column="segment") as desk:
        writer = desk.open()
        assert desk.session.sizes() == {}
        writer.write(row(1, 1, name="gold"))
        writer.write(row(2, 2, name="silver"))
        assert {str(each) for each in desk.session.sizes()} == {'customer list "gold"', 'customer list "silver"'}
        desk.send()
    assert sorted(stage.account.members.values(), key=sorted) == sorted([{digest(1)}, {digest(2)}], key=sorted)


def one_batch(desk: Desk, *, unanswered: bool = False) -> tuple[Order, Batch]:
    """Return the only order of a session, and a batch of it that nothing holds back."""
    desk.session.flush()
    (order,) = desk.session.orders()
    hold = desk.delivery.watermark.hold(order.lines[0], order.list)
    hold.release()
    batch = Batch(order.operation, tuple(order.identities), tuple(order.lines), hold, unanswered=unanswered)
    return order, batch


def test_a_refused_identity_is_noted_for_the_next_run(stage: Stage) -> None:
    with stage.session() as desk:
        writer = desk.open()
        writer.write(row(1, 1))
        writer.write(row(2, 2))
        order, batch = one_batch(desk)
        desk.session.journal.settle(Receipt(order.list, "1", batch, refused=[1]))
        desk.session.tidy()
        assert desk.unsettled() == [[pack_identity(digest(2))]]
        assert list(desk.session.orders()) == []


def test_additions_for_a_list_that_does_not_exist_stay_noted(stage: Stage) -> None:
    with stage.session() as desk:
        desk.open().write(row(1, 1))
        order, batch = one_batch(desk)
        desk.session.journal.settle(Receipt(order.list, None, batch, refused=[]))
        desk.session.tidy()
        assert desk.unsettled() == [[pack_identity(digest(1))]]


def test_removals_from_a_list_that_does_not_exist_are_done(stage: Stage) -> None:
    with stage.session() as desk:
        writer = desk.open()
        writer.write(row(1, 1))
        order, batch = one_batch(desk)
        desk.session.journal.settle(Receipt(order.list, "1", batch, refused=[]))
        desk.session.tidy()
        writer.write(row(1, 2, kind=Kind.DELETED))
        order, batch = one_batch(desk)
        assert batch.operation is Operation.REMOVE
        desk.session.journal.settle(Receipt(order.list, None, batch, refused=[]))
        desk.session.tidy()
        assert desk.unsettled() == []


def test_nothing_is_under_way_after_a_list_was_refused_except_what_an_earlier_run_sent(stage: Stage) -> None:
    with stage.session() as desk:
        desk.open()
        former = desk.ledger.transact(lambda: desk.ledger.notes.add(1, [pack_identity(digest(2))]))
    with stage.session() as desk:
        writer = desk.open()
        for number in (1, 3):
            writer.write(row(number, number))
        refusing = RefusedError("Pinterest makes no list", status=400)
        with patch.object(stage.account, "create_customer_list", side_effect=refusing), pytest.raises(RefusedError):
            desk.send()
        desk.dispatcher.stop()
        desk.session.note_unsent()
        assert desk.ledger.notes.due_times(1) == {former: None, former + 1: AT_ONCE}


def test_a_removal_is_written_to_the_history_once(stage: Stage) -> None:
    with stage.session() as desk:
        desk.open()
        (reference,) = desk.session.sizes()
        desk.session.journal.removed(reference, AcceptedRemoval(1e9, {Cause.DELETE: 3}, "a request"))
        desk.session.tidy()
        desk.session.tidy()
        (entry,) = desk.ledger.history.removals(0, 10)
        assert (entry.causes, entry.request_id) == ({"delete": 3}, "a request")


def test_an_identity_whose_first_request_got_no_answer_is_noted_to_be_sent_once_more(stage: Stage) -> None:
    with stage.session() as desk:
        desk.open().write(row(1, 1))
        order, batch = one_batch(desk, unanswered=True)
        desk.session.journal.settle(Receipt(order.list, "1", batch, refused=[]))
        desk.session.tidy()
        desk.session.tidy()
        (note,) = desk.ledger.notes.of_list(1)
        assert (note.identities, note.sent) == ([pack_identity(digest(1))], Operation.ADD)
        assert note.due == 1e9 + SAFE_SECONDS


def test_a_receipt_for_an_unknown_list_is_ignored(stage: Stage) -> None:
    with stage.session() as desk:
        desk.open().write(row(1, 1))
        order, batch = one_batch(desk)
        desk.delivery.watermark.hold(1, order.list)
        desk.session.journal.settle(Receipt(ListReference(customer_list_id="9"), "9", batch, refused=[0]))
        desk.session.tidy()
        assert desk.unsettled() == [[pack_identity(digest(1))]]


def test_a_list_that_is_accepted_first_does_not_release_earlier_lines_of_another(stage: Stage) -> None:
    config = {"customer_list_name": None, "list_name_column": "segment"}
    with stage.session(**config) as desk:
        writer = desk.open()
        for person, name in ((1, "gold"), (2, "silver")):
            writer.write(row(person, person, name=name))
        desk.send()
    with stage.session(**config) as desk:
        writer = desk.open()
        for line, name in ((1, "silver"), (2, "gold"), (3, "gold")):
            writer.write(row(10 + line, line, name=name))
        desk.session.flush()
        orders = desk.session.orders()
        assert [(str(order.list), list(order.lines)) for order in [next(orders)]] == [('customer list "gold"', [2, 3])]
        assert desk.delivery.watermark.floor() == 1
        assert [list(order.lines) for order in orders] == [[1]]
        assert desk.delivery.watermark.floor() is None


@pytest.mark.parametrize(("names", "number"), [(["gold"], 1), (["gold", "silver"], SEVERAL_LISTS)])
def test_values_that_cannot_be_placed_count_for_no_single_list(stage: Stage, names: list[str], number: int) -> None:
    with stage.session(customer_list_name=None, list_name_column="segment") as desk:
        writer = desk.open()
        for line, name in enumerate(names, 1):
            writer.write(row(line, line, name=name))
        desk.send()
        tally = StreamTally(CUSTOMERS)
        tally.remarks["email", Remark.NOT_AN_EMAIL] = 2
        desk.session.end_history(0, [tally], empty=False)
        (entry,) = desk.ledger.history.entries(10)
        rejected = {each.list_number: each.rejected for each in entry.lists if each.rejected}
        assert rejected == {number: {"NOT_AN_EMAIL": 2}}


def test_mass_refusals_of_a_list_that_the_run_did_not_open_are_not_told(stage: Stage) -> None:
    with stage.session() as desk:
        desk.open()
        refusals = [MassRefusal(number, members=20, refused=15) for number in (1, 2)]
        with patch.object(Ceilings, "mass_refusals", return_value=refusals):
            (told,) = desk.session.mass_refusals()
        assert (told.members, told.refused) == (20, 15)
