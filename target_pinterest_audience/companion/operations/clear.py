"""Removes from a list everyone who was sent to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_pinterest_audience.ledger.history import CLEAR
from target_pinterest_audience.reconcile.withdrawal import withdraw

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.reconcile.books import Books
    from target_pinterest_audience.run.dispatcher import Dispatcher


def clear(ledger: Ledger, books: Books, dispatcher: Dispatcher, number: int) -> None:
    """Remove from a list everyone who is on it, or may be, according to the ledger.

    One transaction notes all removals in the ledger before the first request is sent. The next call, or the next run,
    sends what could not be sent. No ceiling applies.

    Args:
        ledger: the ledger.
        books: the records of this command in the ledger.
        dispatcher: sends the removals.
        number: the list.

    Raises:
        TargetError: the ledger, a lock or Pinterest is not available.
    """
    catalogue = ledger.catalogue
    # No run can read the sources that feed the list meanwhile: it would hold the locks of all their lists.
    books.locks.take_lists([catalogue.lists.entry(number)])
    books.recorder.begin_command(CLEAR)

    def note() -> None:
        for decisions in withdraw(ledger, catalogue.feeds.sources(number), {number}, ledger.digester.shorten):
            books.outbox.note(decisions)
        catalogue.removal_counts.reset(number)

    ledger.transact(note)
    dispatcher.send_all(books.outbox.leftovers(number))
    dispatcher.flush()
