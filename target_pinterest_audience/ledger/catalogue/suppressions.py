"""Suppressions: people who were forgotten and must never be on a list of the ad account again.

A suppression is a refusal without a row. It counts as one more refusal of the identity on each list that the ledger
knows, so that a run obeys it without a further look-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.query import Query


class Suppressions:
    """The suppressions of one ad account. Identities are given as `identities.packed.member_key` returns them."""

    def __init__(self, query: Query, realm: int) -> None:
        """Bind to an ad account.

        Args:
            query: runs statements; called within a transaction whenever a method writes.
            realm: the ledger's number for the ad account.
        """
        self._query = query
        self._realm = realm

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
        self._query(
            "INSERT INTO members (list, identity, contributors, refusers) SELECT list, ?, 0, 1 FROM lists "
            "WHERE realm = ? ON CONFLICT (list, identity) DO UPDATE SET refusers = members.refusers + 1",
            key, self._realm,
        )  # fmt: skip
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
        here = "identity = ? AND list IN (SELECT list FROM lists WHERE realm = ?)"
        self._query(f"UPDATE members SET refusers = refusers - 1 WHERE {here}", key, self._realm)  # noqa: S608 - our own words
        self._query(f"DELETE FROM members WHERE contributors = 0 AND refusers = 0 AND {here}", key, self._realm)  # noqa: S608 - our own words
        found = self._query(f"SELECT list FROM members WHERE refusers = 0 AND {here} ORDER BY list", key, self._realm)  # noqa: S608 - our own words
        return [number for (number,) in found]

    def apply_to(self, list_number: int) -> None:
        """Let a new list refuse all suppressed identities."""
        self._query(
            "INSERT INTO members (list, identity, contributors, refusers) SELECT ?, identity, 0, 1 FROM suppressions "
            "WHERE realm = ?",
            list_number, self._realm,
        )  # fmt: skip

    def all(self) -> frozenset[bytes]:
        """Return all suppressed identities."""
        found = self._query("SELECT identity FROM suppressions WHERE realm = ?", self._realm)
        return frozenset(bytes(identity) for (identity,) in found)

    def __len__(self) -> int:
        """Return how many identities are suppressed."""
        return int(self._query("SELECT COUNT(*) FROM suppressions WHERE realm = ?", self._realm)[0][0])
