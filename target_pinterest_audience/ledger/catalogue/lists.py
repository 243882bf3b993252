"""The customer lists that a ledger knows, and the pins that lead to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.ledger.query import AccountTables, marks, parts

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue.suppressions import Suppressions
    from target_pinterest_audience.ledger.query import Query

_COLUMNS: Final = ("list", "customer_list_id", "name", "members", "base_members", "derived", "contributing_rows")


class ListEntry(NamedTuple):
    """A customer list in the ledger."""

    number: int
    customer_list_id: str | None
    """None if, as far as the ledger knows, the list was not created yet."""
    name: str | None
    members: int
    """How many identities belong on the list."""
    base_members: int
    """How many belonged on it when removals were last counted from zero; see `RemovalCounts.begin`."""
    derived: int
    """How many the ledger has derived to be removed since then."""
    contributing_rows: int
    """How many rows contribute at least one identity to the list."""

    @property
    def at_stake(self) -> int:
        """The number of members that a ceiling is a share of: what an interrupted first run left, if it began at 0."""
        return self.base_members or self.members


class Lists(AccountTables):
    """The customer lists of one ad account."""

    def __init__(self, query: Query, realm: int, suppressions: Suppressions) -> None:
        """Bind to an ad account.

        Args:
            query: runs statements; called within a transaction whenever a method writes.
            realm: the ledger's number for the ad account.
            suppressions: the identities that every new list refuses.
        """
        super().__init__(query, realm)
        self._suppressions = suppressions

    def pinned(self, reference: str) -> ListEntry | None:
        """Return the list that a reference, such as a name, led to before."""
        return self._one("JOIN pins USING (list) WHERE pins.realm = ? AND pins.reference = ?", self._realm, reference)

    def pin(self, reference: str, number: int) -> None:
        """Record which list a reference leads to."""
        self._query(
            "INSERT INTO pins (realm, reference, list) VALUES (?, ?, ?) "
            "ON CONFLICT (realm, reference) DO UPDATE SET list = excluded.list",
            self._realm, reference, number,
        )  # fmt: skip

    def by_id(self, customer_list_id: str) -> ListEntry | None:
        """Return the list with an id at Pinterest."""
        return self._one("WHERE lists.realm = ? AND customer_list_id = ?", self._realm, customer_list_id)

    def entry(self, number: int) -> ListEntry:
        """Return the list with a number in this ledger."""
        found = self._one("WHERE list = ?", number)
        assert found is not None  # noqa: S101 - numbers come from this ledger
        return found

    def all(self) -> list[ListEntry]:
        """Return all lists of the ad account."""
        return self._select("WHERE realm = ? ORDER BY list", self._realm)

    def of_source(self, source: int) -> list[ListEntry]:
        """Return the lists that a source has ever fed."""
        return self._select("JOIN feeds USING (list) WHERE source = ?", source)

    def add(self, customer_list_id: str | None, name: str | None) -> ListEntry:
        """Add a list. It refuses all suppressed identities."""
        ((top,),) = self._query("SELECT COALESCE(MAX(list), 0) FROM lists")
        self._query(
            "INSERT INTO lists (list, realm, customer_list_id, name, members, base_members, derived, closed) "
            "VALUES (?, ?, ?, ?, 0, 0, 0, 1)",
            top + 1, self._realm, customer_list_id, name,
        )  # fmt: skip
        self._suppressions.apply_to(top + 1)
        return ListEntry(top + 1, customer_list_id, name, 0, 0, 0, 0)

    def set_id(self, number: int, customer_list_id: str) -> None:
        """Record the id at Pinterest of a list that was created, or found again."""
        self._query("UPDATE lists SET customer_list_id = ? WHERE list = ?", customer_list_id, number)

    def change_members(self, number: int, difference: int) -> None:
        """Change how many identities belong on a list."""
        self._query("UPDATE lists SET members = members + ? WHERE list = ?", difference, number)

    def change_sizes(self, differences: Mapping[int, tuple[int, int]]) -> None:
        """Change the sizes of many lists, given list → difference of its members, and of its contributing rows."""
        for some in parts(list(differences.items())):
            cases = " ".join("WHEN ? THEN ?" for _ in some)
            self._query(
                f"UPDATE lists SET members = members + CASE list {cases} END, "  # noqa: S608 - our own words
                f"contributing_rows = contributing_rows + CASE list {cases} END WHERE list IN ({marks(some)})",
                *(part for number, (members, _) in some for part in (number, members)),
                *(part for number, (_, rows) in some for part in (number, rows)),
                *(number for number, _ in some),
            )

    def change_contributing_rows(self, number: int, difference: int) -> None:
        """Change how many rows contribute to a list."""
        self._query("UPDATE lists SET contributing_rows = contributing_rows + ? WHERE list = ?", difference, number)

    def algorithm(self, number: int) -> tuple[str | None, bool]:
        """Return the hash algorithm of the last run that fed a list, and whether its refusals depend on it.

        The algorithm is None if it is not known. Refusals depend on it if some are known as one digest only, so that
        another algorithm would add those people again.
        """
        ((algorithm, partial),) = self._query(
            "SELECT hash_algorithm, partial_refusals FROM lists WHERE list = ?", number
        )
        return algorithm, bool(partial)

    def set_algorithm(self, number: int, algorithm: str) -> None:
        """Record the hash algorithm of a run that feeds a list."""
        self._query("UPDATE lists SET hash_algorithm = ? WHERE list = ?", algorithm, number)

    def note_partial_refusal(self, number: int) -> None:
        """Record that some refusal of a list is known as one digest only."""
        self._query("UPDATE lists SET partial_refusals = 1 WHERE list = ?", number)

    def _one(self, condition: str, *parameters: object) -> ListEntry | None:
        return next(iter(self._select(condition, *parameters)), None)

    def _select(self, condition: str, *parameters: object) -> list[ListEntry]:
        columns = ", ".join(f"lists.{name}" for name in _COLUMNS)
        return [ListEntry(*row) for row in self._query(f"SELECT {columns} FROM lists {condition}", *parameters)]  # noqa: S608 - our own words
