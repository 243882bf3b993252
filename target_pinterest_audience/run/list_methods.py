"""Load methods by list: a list is fed either through the ledger or by `append-only`, never by both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_pinterest_audience.errors import ConfigurationError

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.pinterest.models import CustomerList
    from target_pinterest_audience.routing.plan import ListReference


class ListMethods:
    """Refuses a list that two load methods would feed: `append-only` adds people who could never be removed."""

    def __init__(self) -> None:
        """Begin without lists."""
        self._appended: set[ListReference] = set()
        self._upserted: set[ListReference] = set()

    def append(self, reference: ListReference, found: CustomerList | None, ledger: Ledger | None) -> None:
        """Note that an `append-only` stream feeds a list.

        Args:
            reference: the list.
            found: the list at Pinterest; None if it does not exist.
            ledger: the ledger; None if there is none.

        Raises:
            ConfigurationError: the ledger knows the list, or another stream feeds it through the ledger.
        """
        if reference in self._upserted or (ledger is not None and _knows(ledger, reference, found)):
            msg = (
                f"The ledger keeps {reference} in step, so `load_method: append-only` would add people to it who could "
                "never be removed. Use `upsert`, or another list."
            )
            raise ConfigurationError(msg)
        self._appended.add(reference)

    def upsert(self, reference: ListReference) -> None:
        """Note that a stream feeds a list through the ledger.

        Raises:
            ConfigurationError: an `append-only` stream feeds the list.
        """
        if reference in self._appended:
            msg = (
                f"Streams feed {reference} both with `load_method: append-only` and with another method. Use one "
                "method for all streams that feed a list."
            )
            raise ConfigurationError(msg)
        self._upserted.add(reference)


def _knows(ledger: Ledger, reference: ListReference, found: CustomerList | None) -> bool:
    """Return whether the ledger knows a list, by its reference or by its id."""
    catalogue = ledger.catalogue
    return catalogue.lists.pinned(str(reference)) is not None or (
        found is not None and catalogue.lists.by_id(found.id) is not None
    )
