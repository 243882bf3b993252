"""Notes are written in the order of the stream; those that are due are claimed, or deleted if they need nothing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.membership.healing import AT_ONCE, REFUSED_UNDER_WAY, SAFE_SECONDS
from target_pinterest_audience.reconcile import notes
from target_pinterest_audience.reconcile.windows.decisions import ListDecisions, Removal
from target_pinterest_audience.routing.orders import Batch
from target_pinterest_audience.vocabulary import Cause, Operation
from target_pinterest_audience.watermark import Watermark
from tests.support.runs import Stage, digest, row
from tests.support.waiting import Clock

NOW = 1e9
ONE, TWO, THREE, FOUR, FIVE = (pack_identity(digest(number)) for number in range(1, 6))


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    """A ledger with a list that the first person is on."""
    with Stage(tmp_path, clock).session() as desk:
        desk.open().write(row(1, 1))
        desk.send()
        yield desk.ledger


def noted(ledger: Ledger) -> list[list[bytes]]:
    return [note.identities for note in ledger.notes.of_list(1)]


def note(ledger: Ledger, decided: ListDecisions) -> list[notes.Outgoing]:
    return ledger.transact(partial(notes.note_decisions, ledger, {1: decided}))


def add(ledger: Ledger, *identities: bytes, **options: Any) -> int:
    return ledger.transact(partial(ledger.notes.add, 1, list(identities), **options))


def claim(ledger: Ledger) -> notes.Claimed:
    return ledger.transact(partial(notes.claim_due, ledger, 1, NOW, SAFE_SECONDS))


def test_additions_and_removals_are_noted_in_the_order_of_the_stream(ledger: Ledger) -> None:
    removals = {FOUR: Removal(Cause.CHANGE, 4), TWO: Removal(Cause.DELETE, 2)}
    (outgoing,) = note(ledger, ListDecisions({FIVE: 5, ONE: 1, THREE: 3}, removals))
    assert outgoing.sendings == [
        (Operation.ADD, [ONE], [1], None),
        (Operation.REMOVE, [TWO], [2], Cause.DELETE),
        (Operation.ADD, [THREE], [3], None),
        (Operation.REMOVE, [FOUR], [4], Cause.CHANGE),
        (Operation.ADD, [FIVE], [5], None),
    ]
    assert (outgoing.first_line, outgoing.last_line) == (1, 5)
    (kept,) = ledger.notes.of_list(1)
    assert kept.identities == [ONE, TWO, THREE, FOUR, FIVE]
    assert [*map(Cause, kept.causes)] == [
        Cause.UNFINISHED, Cause.DELETE, Cause.UNFINISHED, Cause.CHANGE, Cause.UNFINISHED,
    ]  # fmt: skip


def test_additions_alone_are_noted_in_the_order_of_the_stream(ledger: Ledger) -> None:
    (outgoing,) = note(ledger, ListDecisions({FIVE: 5, ONE: 1, THREE: 3}))
    assert outgoing.sendings == [(Operation.ADD, [ONE, THREE, FIVE], [1, 3, 5], None)]
    assert noted(ledger) == [[ONE, THREE, FIVE]]


def test_many_identities_are_divided_among_notes(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "_IN_A_NOTE", 2)
    outgoing = note(ledger, ListDecisions({FIVE: 5, ONE: 1, THREE: 3}, {TWO: Removal(Cause.DELETE, 2)}))
    assert [(each.first_line, each.last_line) for each in outgoing] == [(1, 2), (3, 5)]
    assert noted(ledger) == [[ONE, TWO], [THREE, FIVE]]


def test_an_identity_with_unlike_unanswered_requests_is_noted_without_an_operation(ledger: Ledger) -> None:
    hold = Watermark().hold(1)
    batches = [
        Batch(Operation.ADD, (TWO, THREE), (1, 2), hold),
        Batch(Operation.REMOVE, (THREE,), (3,), hold, (Cause.DELETE,)),
    ]
    ledger.transact(partial(notes.note_unanswered, ledger, 1, batches, NOW))
    found = [(each.identities, each.sent, each.due) for each in ledger.notes.of_list(1)]
    assert found == [([TWO], Operation.ADD, NOW), ([THREE], None, NOW)]


class TestDue:
    """The first person belongs on the list, and nobody else does."""

    def test_a_note_is_deleted_if_its_request_did_what_is_right_by_now(self, ledger: Ledger) -> None:
        add(ledger, TWO, THREE, due=NOW - 1, sent=Operation.REMOVE)
        assert claim(ledger) == ({}, [])
        assert noted(ledger) == []

    def test_a_note_is_claimed_if_its_request_did_wrong_to_one_identity(self, ledger: Ledger) -> None:
        number = add(ledger, ONE, TWO, due=NOW - 1, sent=Operation.REMOVE)
        assert claim(ledger) == ({number: Operation.REMOVE}, [])

    def test_a_note_of_which_no_request_has_left_is_claimed_as_new(self, ledger: Ledger) -> None:
        number = add(ledger, ONE, due=AT_ONCE)
        assert claim(ledger) == ({}, [number])
        # From now on a request may be under way, so no later claim takes it.
        assert ledger.notes.due_times(1) == {number: None}
        assert claim(ledger) == ({}, [])

    @pytest.mark.parametrize("due", [None, REFUSED_UNDER_WAY])
    def test_a_note_that_another_run_claimed_stays_as_it_is(self, ledger: Ledger, due: float | None) -> None:
        number = add(ledger, ONE, due=due)
        assert claim(ledger) == ({}, [])
        assert ledger.notes.due_times(1) == {number: due}

    def test_a_note_is_not_claimed_before_it_is_due(self, ledger: Ledger) -> None:
        add(ledger, ONE, due=NOW + 1)
        assert claim(ledger) == ({}, [])

    def test_only_what_does_not_wait_to_be_sent_once_more_is_owed(self, ledger: Ledger) -> None:
        add(ledger, ONE, due=NOW + 1)
        number = add(ledger, ONE, TWO)
        (owed,) = notes.owed(ledger, 1)
        assert (owed.note, [each[:2] for each in owed.operations]) == (
            number,
            [(Operation.ADD, ONE), (Operation.REMOVE, TWO)],
        )

    def test_only_a_request_that_may_have_left_can_have_created_the_list(self, ledger: Ledger) -> None:
        add(ledger, ONE, due=AT_ONCE)
        add(ledger, TWO)
        assert not notes.owes_additions(ledger, 1)
        add(ledger, ONE)
        assert notes.owes_additions(ledger, 1)
