"""Removing everybody from a list who was sent to it, because a person says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_pinterest_audience.ledger.history import CLEAR
from target_pinterest_audience.reconcile.withdrawal import withdraw

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.reconcile.books import Books
    from target_pinterest_audience.run.dispatcher import Dispatcher


def clear(ledger: Ledger, books: Books, dispatcher: Dispatcher, number: int) -> None:
    """Remove everybody from a list whom the ledger knows to be on it, or who may be.

    All is noted in the ledger at one stroke before the first request leaves; what could not be sent then is sent when
    this is called again, or by the next run. There is no ceiling.

    Args:
        ledger: the ledger.
        books: the books of this command.
        dispatcher: sends removals.
        number: the list.

    Raises:
        TargetError: the ledger, a lock or Pinterest cannot be had.
    """
    catalogue = ledger.catalogue
    # So nobody reads the sources that feed it either: who does has all lists that a source feeds.
    books.locks.take_lists([catalogue.entry(number)])
    books.recorder.begin_command(CLEAR)
    with ledger.transaction():
        for decisions in withdraw(ledger, catalogue.numbers_of_sources(number), {number}, books.digester.shorten):
            books.outbox.note(decisions)
        catalogue.restart_list(number)
    dispatcher.send_all(books.outbox.leftovers(number))
    dispatcher.flush()
