"""The sources that a ledger knows, and the keys of their rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from target_pinterest_audience.ledger.query import AccountTables, number_of
from target_pinterest_audience.membership.key_forms import NEWEST_RULES


class SourceEntry(NamedTuple):
    """A source in the ledger."""

    number: int
    name: str
    last_read: float | None
    """When a run last began to read it, as Unix time in seconds; None if that is not known."""


class Sources(AccountTables):
    """The sources of one ad account."""

    def add(self, name: str) -> int:
        """Return the number of a source, adding the source if it is new."""
        known = self.find(name)
        if known is not None:
            return known
        number = number_of(self._query, "sources", "source", {"realm": self._realm, "name": name})
        self._query("UPDATE sources SET key_rules = ? WHERE source = ?", NEWEST_RULES, number)
        return number

    def find(self, name: str) -> int | None:
        """Return the number of a source; None if the ledger does not know it."""
        found = self._query("SELECT source FROM sources WHERE realm = ? AND name = ?", self._realm, name)
        return int(found[0][0]) if found else None

    def name(self, source: int) -> str:
        """Return the name of a source."""
        return str(self._query("SELECT name FROM sources WHERE source = ?", source)[0][0])

    def all(self) -> list[SourceEntry]:
        """Return all sources of the ad account."""
        found = self._query("SELECT source, name, last_read FROM sources WHERE realm = ? ORDER BY source", self._realm)
        return [SourceEntry(*row) for row in found]

    def note_read(self, source: int, now: float) -> None:
        """Record that a run begins to read a source.

        Args:
            source: the source.
            now: Unix time in seconds.
        """
        self._query("UPDATE sources SET last_read = ? WHERE source = ?", now, source)

    def next_mark(self, source: int) -> int:
        """Return a mark that is greater than those of all runs before, for the rows that this run reads.

        The run has the lock of the source.
        """
        self._query("UPDATE sources SET mark = mark + 1 WHERE source = ?", source)
        return int(self._query("SELECT mark FROM sources WHERE source = ?", source)[0][0])

    def key_properties(self, source: int) -> list[str] | None:
        """Return the key properties of a source's rows; None if no stream has named them yet."""
        (encoded,) = self._query("SELECT key_properties FROM sources WHERE source = ?", source)[0]
        return None if encoded is None else msgspec.json.decode(encoded, type=list[str])

    def set_key_properties(self, source: int, names: Iterable[str]) -> None:
        """Record the key properties of a source's rows."""
        encoded = msgspec.json.encode(sorted(names)).decode()
        self._query("UPDATE sources SET key_properties = ? WHERE source = ?", encoded, source)

    def key_rules(self, source: int) -> int:
        """Return the version of the rules that bring a source's keys into one form; see `key_forms.NEWEST_RULES`."""
        return int(self._query("SELECT key_rules FROM sources WHERE source = ?", source)[0][0])

    def key_kinds(self, source: int) -> dict[str, frozenset[str]]:
        """Return key property → the known kinds of its values; see `key_kinds`."""
        (encoded,) = self._query("SELECT key_kinds FROM sources WHERE source = ?", source)[0]
        return {} if encoded is None else msgspec.json.decode(encoded, type=dict[str, frozenset[str]])

    def add_key_kinds(self, source: int, kinds: Mapping[str, Iterable[str]]) -> None:
        """Record further kinds of values of a source's key properties."""
        known = self.key_kinds(source)
        merged = {name: sorted({*known.get(name, ()), *kinds.get(name, ())}) for name in {**known, **kinds}}
        encoded = msgspec.json.encode(merged, order="sorted").decode()
        self._query("UPDATE sources SET key_kinds = ? WHERE source = ?", encoded, source)
