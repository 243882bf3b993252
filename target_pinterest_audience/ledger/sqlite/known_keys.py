"""Tells which keys a table with layers knows, without reading most of its pages.

It makes a filter for a source or a list when a run brings many keys that are probably new. The filter holds all keys
that the tables have then, and those that this process adds later. No other process can add any: whoever adds rows of a
source or members of a list holds its lock, and this process has held it since before the filter was made.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.ledger.sqlite.key_filter import KeyFilter
from target_pinterest_audience.system.memory import memory_bytes

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.sqlite.bulk import Group
    from target_pinterest_audience.ledger.sqlite.layers import Layers

_MOST_FILTERS: Final = 4
"""How many filters stay at once."""

_MOST_OPEN: Final = 100

_ROOM: Final = 4
"""For how many times as many keys a filter has room at once."""

_LEAST_BYTES: Final = 64 << 20
_SHARE: Final = 16
"""The share of the memory that a filter takes at most, unless that is less than `_LEAST_BYTES`."""


@dataclass(slots=True, eq=False)
class Suspects:
    """What a filter said about keys that are probably new, and what it has learned since.

    Attributes:
        owner: the source or list of the keys.
        keys: those that a table may have; None if all of them must be looked up.
        later: keys of the same source or list that were written since without asking.
    """

    owner: int
    keys: list[bytes] | None
    later: set[bytes] = field(default_factory=set)


class Prepared(NamedTuple):
    """New rows or members, ready to be inserted.

    Attributes:
        suspects: the keys that a table may have; None if no filter was asked.
        parts: the rows, in groups.
    """

    suspects: Suspects | None
    parts: list[Group]


class KnownKeys:
    """The keys of one table. While one thread writes a window, another may ask about the next one."""

    def __init__(self, layers: Layers, owner: str) -> None:
        """Begin without filters.

        Args:
            layers: the layers of the table.
            owner: the column whose value each filter is for: the source or the list.
        """
        self._layers = layers
        self._owner = owner
        self._filters: dict[int, KeyFilter] = {}
        self._open: deque[Suspects] = deque()
        """What `suspects` returned and `are_new` has not received yet."""
        self._turn = threading.Lock()

    def suspects(self, keys: Sequence[bytes], owner: int) -> Suspects | None:
        """Ask the filter about keys that are to be written next, and expect them from now on.

        Args:
            keys: keys without duplicates.
            owner: their source or list.

        Returns:
            The answer; None if there is no filter yet.
        """
        with self._turn:
            known = self._filters.get(owner)
            if known is None:
                return None
            found = Suspects(owner, [keys[place] for place in known.take(keys)])
            self._open.append(found)
            # Some are never used, because the window was not as expected.
            if len(self._open) > _MOST_OPEN:
                self._open.popleft().keys = None
            return found

    def are_new(self, keys: Sequence[bytes], owner: int, suspects: Suspects | None) -> bool:
        """Return whether no table has any of these keys, and expect them from now on.

        Args:
            keys: keys without duplicates.
            owner: their source or list.
            suspects: what `suspects` returned for them; None if it was not asked.
        """
        if suspects is None:
            self._filter(owner, len(keys))
            keys = self._learn(keys, owner)
        elif suspects.keys is not None:
            with self._turn:
                self._open.remove(suspects)
            keys = list({*suspects.keys, *suspects.later.intersection(keys)})
        return not keys or not self._layers.locate(keys, **{self._owner: owner})

    def possible(self, keys: Sequence[bytes], owner: int, *, make: bool) -> Sequence[bytes]:
        """Return the keys that the tables may have; the others they surely do not have.

        Args:
            keys: keys without duplicates.
            owner: their source or list.
            make: whether to make a filter if there is none, because most of the keys may be new.
        """
        known = self._filter(owner, len(keys) if make else 0)
        with self._turn:
            return [keys[place] for place in known.possible(keys)] if known is not None else keys

    def expect(self, keys: Sequence[bytes], owner: int) -> None:
        """Learn of keys that may be new and are written."""
        self._learn(keys, owner)

    def _learn(self, keys: Sequence[bytes], owner: int) -> Sequence[bytes]:
        """Add keys to the filter, tell those who asked it before, and return the keys that the tables may have."""
        with self._turn:
            known = self._filters.get(owner)
            if known is None or not keys:
                return keys
            for suspects in self._open:
                if suspects.owner == owner:
                    suspects.later.update(keys)
            return [keys[place] for place in known.take(keys)]

    def drop_filters(self) -> None:
        """Begin without filters again, because keys were added that they do not hold."""
        with self._turn:
            self._filters.clear()
            while self._open:
                self._open.popleft().keys = None

    def _filter(self, owner: int, keys: int) -> KeyFilter | None:
        """Return the filter of a source or list, and make it first if there are that many keys.

        It is made within the transaction in which the keys are needed, so that nobody adds keys meanwhile.
        """
        if owner not in self._filters and keys >= self._layers.sizes.filtered and self._layers.exist:
            expected = keys + sum(layer.rows for layer in self._layers.all())
            made = KeyFilter(expected * _ROOM, max(_LEAST_BYTES, memory_bytes() // _SHARE))
            for page in self._layers.keys(f"{self._owner} = ?", owner):
                made.take(page)
            with self._turn:
                while len(self._filters) >= _MOST_FILTERS:
                    del self._filters[next(iter(self._filters))]
                self._filters[owner] = made
        return self._filters.get(owner)
