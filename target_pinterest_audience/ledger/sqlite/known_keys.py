"""Tells which keys a table with layers knows, without reading most of its pages.

It makes a filter for a source or a list when a run brings many keys that are probably new. The filter holds all keys
that the tables have then, and those that this process adds later. No other process can add any: whoever adds rows of a
source or members of a list holds its lock, and this process has held it since before the filter was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.ledger.sqlite.key_filter import KeyFilter
from target_pinterest_audience.system.memory import memory_bytes

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.sqlite.layers import Layers

_MOST_FILTERS: Final = 4
"""How many filters stay at once."""

_ROOM: Final = 4
"""For how many times as many keys a filter has room at once."""

_LEAST_BYTES: Final = 64 << 20
_SHARE: Final = 16
"""The share of the memory that a filter takes at most, unless that is less than `_LEAST_BYTES`."""


class KnownKeys:
    """The keys of one table."""

    def __init__(self, layers: Layers, owner: str) -> None:
        """Begin without filters.

        Args:
            layers: the layers of the table.
            owner: the column whose value each filter is for: the source or the list.
        """
        self._layers = layers
        self._owner = owner
        self._filters: dict[int, KeyFilter] = {}

    def are_new(self, keys: Sequence[bytes], owner: int) -> bool:
        """Return whether no table has any of these keys, and expect them there from now on.

        Args:
            keys: keys without duplicates.
            owner: their source or list.
        """
        possible = self._take(keys, owner)
        return not possible or not self._layers.locate(possible, **{self._owner: owner})

    def possible(self, keys: Sequence[bytes], owner: int, *, make: bool) -> Sequence[bytes]:
        """Return the keys that the tables may have; the others they surely do not have.

        Args:
            keys: keys without duplicates.
            owner: their source or list.
            make: whether to make a filter if there is none, because most of the keys may be new.
        """
        known = self._filter(owner, len(keys) if make else 0)
        return [keys[place] for place in known.possible(keys)] if known is not None else keys

    def expect(self, keys: Sequence[bytes], owner: int) -> None:
        """Learn of keys that may be new and are written."""
        if owner in self._filters:
            self._take(keys, owner)

    def drop_filters(self) -> None:
        """Begin without filters again, because keys were added that they do not hold."""
        self._filters.clear()

    def _take(self, keys: Sequence[bytes], owner: int) -> Sequence[bytes]:
        """Add keys to the filter of a source or list, and return those that the tables may have."""
        known = self._filter(owner, len(keys))
        return [keys[place] for place in known.take(keys)] if known is not None else keys

    def _filter(self, owner: int, keys: int) -> KeyFilter | None:
        if owner not in self._filters and keys >= self._layers.sizes.filtered and self._layers.exist:
            while len(self._filters) >= _MOST_FILTERS:
                del self._filters[next(iter(self._filters))]
            expected = keys + sum(layer.rows for layer in self._layers.all())
            made = KeyFilter(expected * _ROOM, max(_LEAST_BYTES, memory_bytes() // _SHARE))
            for page in self._layers.keys(f"{self._owner} = ?", owner):
                made.take(page)
            self._filters[owner] = made
        return self._filters.get(owner)
