"""Who was forgotten and must never be on a list again: a refusal without a row, in every list of the ad account.

In each list that the ledger knows, a suppression counts as one more refusal of the identity, so that a run needs no
further look to obey it.
"""

from __future__ import annotations

from target_pinterest_audience.ledger.query import Query


class Suppressions:
    """The suppressions of one ad account of one API. Identities are given as `membership.member_key` returns them."""

    def __init__(self, query: Query, realm: int) -> None:
        """Bind to an ad account.

        Args:
            query: runs statements; called within a transaction whenever a method writes.
            realm: the ledger's number for the ad account.
        """
        self._query = query
        self._realm = realm

    def add(self, key: bytes, now: float) -> bool:
        """Suppress an identity for good, in all lists that the ledger knows and those to come.

        Args:
            key: the identity.
            now: seconds since 1970.

        Returns:
            Whether it was not suppressed before.
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
        """Suppress an identity no longer.

        Args:
            key: the identity.

        Returns:
            The lists that it belongs on from now on, since rows contribute it; None if it was not suppressed.
        """
        if not self._query("SELECT 1 FROM suppressions WHERE realm = ? AND identity = ?", self._realm, key):
            return None
        self._query("DELETE FROM suppressions WHERE realm = ? AND identity = ?", self._realm, key)
        here = "identity = ? AND list IN (SELECT list FROM lists WHERE realm = ?)"
        self._query(f"UPDATE members SET refusers = refusers - 1 WHERE {here}", key, self._realm)  # noqa: S608 - our own words
        self._query(f"DELETE FROM members WHERE contributors = 0 AND refusers = 0 AND {here}", key, self._realm)  # noqa: S608 - likewise
        found = self._query(f"SELECT list FROM members WHERE refusers = 0 AND {here} ORDER BY list", key, self._realm)  # noqa: S608 - likewise
        return [number for (number,) in found]

    def apply_to(self, list_number: int) -> None:
        """Let a list that is new to the ledger refuse whoever is suppressed."""
        self._query(
            "INSERT INTO members (list, identity, contributors, refusers) SELECT ?, identity, 0, 1 FROM suppressions "
            "WHERE realm = ?",
            list_number, self._realm,
        )  # fmt: skip

    def all(self) -> frozenset[bytes]:
        """Return all who are suppressed."""
        found = self._query("SELECT identity FROM suppressions WHERE realm = ?", self._realm)
        return frozenset(bytes(identity) for (identity,) in found)

    def __len__(self) -> int:
        """Return how many identities are suppressed."""
        return int(self._query("SELECT COUNT(*) FROM suppressions WHERE realm = ?", self._realm)[0][0])
