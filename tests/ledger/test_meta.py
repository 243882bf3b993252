"""The numbers of runs and commands: each is given once, whatever `ledger expire` deletes."""

from __future__ import annotations

from target_pinterest_audience.ledger.history import FORGET, PRUNE, RUN, RemovalEntry
from target_pinterest_audience.ledger.ledger import Ledger
from tests.support.ledgers import Opened


def late_removal(entry: int) -> RemovalEntry:
    return RemovalEntry(entry, 1, accepted=90.0, causes={"WITHDRAWN": 1}, request_id=None)


def test_a_number_is_not_given_again_after_its_entry_expired(ledger: Ledger, opened: Opened) -> None:
    with ledger.transaction():
        run = ledger.catalogue.runs.begin("main", {}, 1.0)
        ledger.history.begin(RUN, 1.0, run)
        prune = ledger.history.begin(PRUNE, 2.0)
        assert ledger.history.expire(50.0) == 2
    ledger.close()
    other = opened()
    with other.transaction():
        assert other.history.begin(FORGET, 60.0) == prune + 1
        assert other.catalogue.runs.begin("main", {}, 61.0) == prune + 2


def test_a_late_removal_is_not_shown_under_the_next_entry(ledger: Ledger) -> None:
    with ledger.transaction():
        prune = ledger.history.begin(PRUNE, 2.0)
        ledger.history.expire(50.0)
        # It still runs, and Pinterest accepts a request of it.
        ledger.history.note_removal(late_removal(prune))
        ledger.history.begin(FORGET, 60.0)
    assert prune not in [entry.number for entry in ledger.history.entries(9)]
    assert [removal.entry for removal in ledger.history.removals(0.0, 9)] == [prune]


def test_the_number_of_a_removal_that_outlived_its_entry_in_an_older_version_is_not_given_again(
    ledger: Ledger,
) -> None:
    with ledger.transaction():
        ledger.history.note_removal(late_removal(7))
        assert ledger.history.begin(PRUNE, 60.0) == 8


def test_numbers_of_an_older_version_are_continued(ledger: Ledger) -> None:
    with ledger.transaction():
        first = ledger.history.begin(RUN, 1.0)
        # An older version does not store the number that it gives.
        ledger.history.begin(RUN, 2.0, first + 5)
        assert ledger.history.begin(PRUNE, 3.0) == first + 6
