"""Suppressions: people who were forgotten and must never be on a list of the ad account again.

A suppression is a refusal without a row. It counts as one more refusal of the identity on each list that the ledger
knows, so that a run obeys it without a further look-up.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from target_pinterest_audience.ledger.query import AccountTables, marks, parts

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.members import Members
    from target_pinterest_audience.ledger.query import Query


class Suppressions(AccountTables):
    """The suppressions of one ad account. Identities are given as `identities.packed.member_key` returns them."""

    def __init__(self, query: Query, realm: int, members: Members) -> None:
        """Bind to an ad account.

        Args:
            query: runs statements; called within a transaction whenever a method writes.
            realm: the ledger's number for the ad account.
            members: counts the refusals.
        """
        super().__init__(query, realm)
        self._members = members

    def add(self, key: bytes, now: float) -> bool:
        """Suppress an identity for good, on all known and future lists.

        Args:
            key: the identity.
            now: Unix time in seconds.

        Returns:
            Whether the suppression is new.
        """
        if self._query("SELECT 1 FROM suppressions WHERE realm = ? AND identity = ?", self._realm, key):
            return False
        self._query("INSERT INTO suppressions (realm, identity, since) VALUES (?, ?, ?)", self._realm, key, now)
        self._members.add_refusal(self._realm, key)
        return True

    def lift(self, key: bytes) -> list[int] | None:
        """End the suppression of an identity.

        Args:
            key: the identity.

        Returns:
            The lists that it belongs on from now on, because rows contribute it; None if it was not suppressed.
        """
        if not self._query("SELECT 1 FROM suppressions WHERE realm = ? AND identity = ?", self._realm, key):
            return None
        self._query("DELETE FROM suppressions WHERE realm = ? AND identity = ?", self._realm, key)
        return self._members.lift_refusal(self._realm, key)

    def apply_to(self, list_number: int) -> None:
        """Let a new list refuse all suppressed identities."""
        self._members.refuse_suppressed(self._realm, list_number)

    def all(self) -> frozenset[bytes]:
        """Return all suppressed identities."""
        found = self._query("SELECT identity FROM suppressions WHERE realm = ?", self._realm)
        return frozenset(bytes(identity) for (identity,) in found)

    def among(self, keys: Collection[bytes]) -> frozenset[bytes]:
        """Return those of some identities that are suppressed."""
        found: set[bytes] = set()
        for some in parts(list(keys)):
            found |= {
                bytes(identity)
                for (identity,) in self._query(
                    f"SELECT identity FROM suppressions WHERE realm = ? AND identity IN ({marks(some)})",  # noqa: S608
                    self._realm, *some,
                )
            }  # fmt: skip
        return frozenset(found)

    def __len__(self) -> int:
        """Return how many identities are suppressed."""
        return int(self._query("SELECT COUNT(*) FROM suppressions WHERE realm = ?", self._realm)[0][0])
