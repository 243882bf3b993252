"""Loaders: settings that feed a list from a source."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from target_pinterest_audience.ledger.query import AccountTables

_CHANGED_ADDRESSES: Final = 1
"""How many rows may name somebody else and still be of the same table, if no row shows that they are."""


class Loader(NamedTuple):
    """Settings that feed a list from a source."""

    source: int
    list_number: int
    configuration: str
    """The digest of the settings."""
    first_run: int
    last_run: int
    row_rules: frozenset[str] = frozenset()
    """The settings by which its rows refuse and are deleted, as `name:digest`; none if they are not known."""


class Kinship(NamedTuple):
    """How much the rows of a loader have in common with the rows that other loaders read from the same source.

    Rows with the same key are compared.
    """

    same: int
    """How many rows name one of the people whom the loader's row puts on a list."""
    differing: int
    """How many rows name somebody else."""

    @property
    def is_stranger(self) -> bool:
        """Whether the rows belong to another table. In the same table, somebody may have changed an address."""
        return self.differing > max(self.same, _CHANGED_ADDRESSES)


class Loaders(AccountTables):
    """The loaders of one ad account."""

    def all(self) -> list[Loader]:
        """Return all loaders that have ever fed a list of the ad account."""
        found = self._query(
            "SELECT source, list, configuration, first_run, last_run, row_rules FROM loaders JOIN lists USING (list) "
            "WHERE realm = ? ORDER BY source, list",
            self._realm,
        )
        return [
            Loader(source, number, configuration, first, last, frozenset((rules or "").split()))
            for source, number, configuration, first, last, rules in found
        ]

    def note(self, source: int, number: int, configuration: str, run: int, row_rules: Iterable[str] = ()) -> None:
        """Record that settings feed a list from a source in a run."""
        self._query(
            "INSERT INTO loaders (source, list, configuration, first_run, last_run, row_rules) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (source, list, configuration) "
            "DO UPDATE SET last_run = excluded.last_run, row_rules = excluded.row_rules",
            source, number, configuration, run, run, " ".join(sorted(row_rules)) or None,
        )  # fmt: skip

    def kinship(self, source: int, number: int, configuration: str) -> Kinship:
        """Return how much a loader's rows have in common with those of other loaders."""
        found = self._query(
            "SELECT same, differing FROM kinships WHERE source = ? AND list = ? AND configuration = ?",
            source, number, configuration,
        )  # fmt: skip
        return Kinship(*found[0]) if found else Kinship(0, 0)

    def set_kinship(self, source: int, number: int, configuration: str, kinship: Kinship) -> None:
        """Record how much a loader's rows have in common with those of other loaders."""
        self._query(
            "INSERT INTO kinships (source, list, configuration, same, differing) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (source, list, configuration) DO UPDATE SET same = excluded.same, "
            "differing = excluded.differing",
            source, number, configuration, *kinship,
        )  # fmt: skip
