"""Locks: while a process holds them, no other one writes to its lists or reads rows of its sources."""

from __future__ import annotations

from collections.abc import Iterable

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.catalogue.lists import ListEntry
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.membership.row_keys import realm_of
from target_pinterest_audience.routing.plan import ListReference
from target_pinterest_audience.settings import Settings


class Locks:
    """The locks of one process on the lists and sources of an ad account, held until the ledger is closed."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        """Begin without locks."""
        self._ledger = ledger
        self._all: object = None
        """What `take_all` locked."""
        self._realm = realm_of(settings.api_url, settings.ad_account_id)
        self._wait_seconds = settings.lock_wait_seconds

    def take_references(self, references: Iterable[ListReference]) -> None:
        """Lock lists, always in the same order, so that two processes do not wait for each other.

        Raises:
            LedgerError: another process holds one of the locks.
        """
        self._take(*sorted(map(str, references)))

    def take_source(self, name: str) -> None:
        """Lock a source and every list that its rows are on, whatever today's settings: a delete concerns all of them.

        Raises:
            LedgerError: another process holds one of the locks.
        """
        self._take(f"source {name}")
        source = self._ledger.catalogue.sources.find(name)
        if source is not None:
            self.take_lists(self._ledger.catalogue.lists.of_source(source))

    def take_lists(self, entries: Iterable[ListEntry]) -> None:
        """Lock lists in the ledger.

        Raises:
            LedgerError: another process holds one of the locks.
        """
        self._take(*(str(reference_to(entry)) for entry in sorted(entries)))

    def take_all(self) -> None:
        """Lock every source and list in the ledger.

        Raises:
            LedgerError: another process holds one of the locks.
        """
        catalogue = self._ledger.catalogue
        for source in catalogue.sources.all():
            self.take_source(source.name)
        self._all = self._known
        self.take_lists(catalogue.lists.all())

    def refuse_newcomers(self) -> None:
        """Check, within a transaction, that `take_all` locked every source and list there is.

        Raises:
            LedgerError: another process has added a source or a list since.
        """
        if self._all != self._known:
            msg = (
                "Another run added a source or a list to the ledger in the meantime, so nothing was changed. Wait for "
                "it to finish, then run the command again."
            )
            raise LedgerError(msg)

    @property
    def _known(self) -> object:
        catalogue = self._ledger.catalogue
        return [each.number for each in catalogue.sources.all()], [each.number for each in catalogue.lists.all()]

    def _take(self, *names: str) -> None:
        self._ledger.locks.take([f"{self._realm}\n{name}" for name in names], self._wait_seconds)


def reference_to(entry: ListEntry) -> ListReference:
    """Return a reference to a list in the ledger: by its id, or by its name if it has none yet."""
    if entry.customer_list_id is not None:
        return ListReference(customer_list_id=entry.customer_list_id)
    return ListReference(customer_list_name=entry.name)
