"""Members: how many rows contribute each identity to a list, and how many refuse it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.query import Query
    from target_pinterest_audience.membership.counts import Count


class Members(ABC):
    """The counts of statements about each identity. They are derived from what rows say, and kept in step with it."""

    def __init__(self, query: Query) -> None:
        """Bind to a ledger.

        Args:
            query: runs statements that both databases know.
        """
        self._query = query

    @abstractmethod
    def read(self, list_number: int, identities: Collection[bytes]) -> dict[bytes, Count]:
        """Return identity → its counts. Identities that no row names are left out."""

    @abstractmethod
    def write(self, list_number: int, counts: Mapping[bytes, Count]) -> None:
        """Replace the counts of identities. Those that no row names are deleted."""

    def prepare(self, of_lists: Mapping[int, Collection[bytes]]) -> object:  # noqa: ARG002 - nothing to prepare
        """Do what `insert` can do without the database; see `Rows.prepare`."""
        return None

    def insert(self, of_lists: Mapping[int, Collection[bytes]], prepared: object = None) -> set[int]:  # noqa: ARG002 - declined
        """Count identities as contributed by one row each, without a look-up before, where that is faster.

        Args:
            of_lists: list → identities.
            prepared: what `prepare` returned, if it was called.

        Returns:
            The lists whose identities were written. If one of a list is known already, or if it would not be faster,
            none of this list is written.
        """
        return set()

    def add_refusal(self, realm: int, identity: bytes) -> None:
        """Count one more refusal of an identity on each list of an ad account."""
        *others, young = self._tables()
        here = "identity = ? AND list IN (SELECT list FROM lists WHERE realm = ?)"
        for name in others:
            self._query(f"UPDATE {name} SET refusers = refusers + 1 WHERE {here}", identity, realm)
        elsewhere = "".join(
            f" AND NOT EXISTS (SELECT 1 FROM {name} WHERE {name}.list = lists.list AND identity = ?)" for name in others
        )
        self._query(
            f"INSERT INTO {young} (list, identity, contributors, refusers) SELECT list, ?, 0, 1 FROM lists "
            f"WHERE realm = ?{elsewhere} ON CONFLICT (list, identity) DO UPDATE SET refusers = {young}.refusers + 1",
            identity, realm, *[identity for _ in others],
        )  # fmt: skip

    def lift_refusal(self, realm: int, identity: bytes) -> list[int]:
        """Count one refusal less of an identity on each list of an ad account.

        Returns:
            The lists that it belongs on from now on, because rows contribute it.
        """
        here = "identity = ? AND list IN (SELECT list FROM lists WHERE realm = ?)"
        belongs_on: list[int] = []
        for name in self._tables():
            self._query(f"UPDATE {name} SET refusers = refusers - 1 WHERE {here}", identity, realm)
            self._query(f"DELETE FROM {name} WHERE contributors = 0 AND refusers = 0 AND {here}", identity, realm)
            found = self._query(f"SELECT list FROM {name} WHERE refusers = 0 AND {here}", identity, realm)
            belongs_on += [number for (number,) in found]
        return sorted(belongs_on)

    def refuse_suppressed(self, realm: int, list_number: int) -> None:
        """Let a new list refuse all identities that an ad account suppresses."""
        self._query(
            f"INSERT INTO {self._tables()[-1]} (list, identity, contributors, refusers) SELECT ?, identity, 0, 1 "
            "FROM suppressions WHERE realm = ?",
            list_number, realm,
        )  # fmt: skip

    def count_refused(self, list_number: int) -> int:
        """Return how many identities are kept off a list. This reads all members of the list."""
        return sum(
            int(count)
            for name in self._tables()
            for (count,) in self._query(
                f"SELECT COUNT(*) FROM {name} WHERE list = ? AND refusers > 0",
                list_number,
            )
        )

    def _tables(self) -> Sequence[str]:
        """Return the names of the tables that members are in, each member in one of them; new ones go to the last."""
        return ("members",)
