"""One writer: nobody else writes to a list, or reads rows of a source, until the process ends."""

from __future__ import annotations

from collections.abc import Iterable

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.catalogue.lists import ListEntry
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.membership.row_keys import realm_of
from target_pinterest_audience.routing.plan import ListReference
from target_pinterest_audience.settings import Settings


class Locks:
    """The locks of one process on the lists and sources of an ad account."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        """Take none yet."""
        self._ledger = ledger
        self._all: object = None
        """What `take_all` took."""
        self._realm = realm_of(settings.api_url, settings.ad_account_id)
        self._wait_seconds = settings.lock_wait_seconds

    def take_list(self, reference: ListReference) -> None:
        """Take a list. Raises a LedgerError if another process has it."""
        self._take(str(reference))

    def take_source(self, name: str) -> None:
        """Take a source and the lists that its rows are in, whatever today's settings: a delete concerns them all.

        Raises:
            LedgerError: another process has one of them.
        """
        self._take(f"source {name}")
        source = self._ledger.catalogue.sources.find(name)
        if source is not None:
            self.take_lists(self._ledger.catalogue.lists.of_source(source))

    def take_lists(self, entries: Iterable[ListEntry]) -> None:
        """Take lists that the ledger knows. Raises a LedgerError if another process has one."""
        self._take(*(str(reference_to(entry)) for entry in sorted(entries)))

    def take_all(self) -> None:
        """Take every source and list that the ledger knows. Raises a LedgerError if another process has one."""
        catalogue = self._ledger.catalogue
        for source in catalogue.sources.all():
            self.take_source(source.name)
        self._all = self._known
        self.take_lists(catalogue.lists.all())

    def refuse_newcomers(self) -> None:
        """Make sure, within a transaction, that `take_all` took all that there is.

        Raises:
            LedgerError: another process has brought in a source or a list since.
        """
        if self._all != self._known:
            msg = (
                "A run has begun meanwhile that the ledger knew nothing of, so nothing was changed. Let it finish, and "
                "call again."
            )
            raise LedgerError(msg)

    @property
    def _known(self) -> object:
        catalogue = self._ledger.catalogue
        return [each.number for each in catalogue.sources.all()], [each.number for each in catalogue.lists.all()]

    def _take(self, *names: str) -> None:
        self._ledger.locks.take([f"{self._realm}\n{name}" for name in names], self._wait_seconds)


def reference_to(entry: ListEntry) -> ListReference:
    """Return how a list is found that the ledger knows."""
    if entry.customer_list_id is not None:
        return ListReference(customer_list_id=entry.customer_list_id)
    return ListReference(customer_list_name=entry.name)
