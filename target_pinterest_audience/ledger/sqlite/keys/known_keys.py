"""Tells which keys a table with layers knows, without reading most of its pages.

When a run brings many keys of a source or list that are probably new, all known ones are read into a filter, which then
learns of each key that this process adds. No other process can add any: whoever adds rows of a source or members of a
list holds its lock, and this process has held it since before the keys were read.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.system.memory import memory_bytes

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.sqlite.keys.key_filter import KeyFilter
    from target_pinterest_audience.ledger.sqlite.layers import Layers

_MOST_OPEN: Final = 2
"""How many windows of a source or list can be prepared and not written yet."""

_MOST_LATER: Final = 300_000
"""How many keys are remembered for a window that is prepared. If there are more, all its keys are looked up."""

_SHARE: Final = 8
"""The share of the memory that a filter takes at most."""


@dataclass(slots=True, eq=False)
class Suspects:
    """What a filter said about keys that are probably new, and what it has learned since.

    Attributes:
        keys: those that a table may have; None if all of them must be looked up.
        later: keys of the same source or list that were written since without asking.
    """

    keys: list[bytes] | None
    later: set[bytes] = field(default_factory=set)


class KnownKeys:
    """The keys of one table. While one thread writes a window, another may ask about the next one.

    Attributes:
        layers: the layers of the table.
    """

    def __init__(self, layers: Layers) -> None:
        """Begin without a filter.

        Args:
            layers: the layers of the table.
        """
        self.layers = layers
        self._filter: KeyFilter | None = None
        self._covered: set[int] = set()
        """The sources or lists whose keys the filter has."""
        self._open: dict[int, deque[Suspects]] = defaultdict(deque)
        """Source or list → what `suspects` returned and `may_insert` has not received yet."""
        self._turn = threading.Lock()

    def suspects(self, keys: Sequence[bytes], owner: int) -> Suspects | None:
        """Ask the filter about keys that are to be written next, and expect them from now on.

        Args:
            keys: keys without duplicates.
            owner: their source or list.

        Returns:
            The answer; None if the filter does not know the source or list yet.
        """
        with self._turn:
            if self._filter is None or owner not in self._covered:
                return None
            found = Suspects([keys[place] for place in self._filter.take(keys, owner)])
            waiting = self._open[owner]
            waiting.append(found)
            # Some are never used, because the window was not as expected.
            while len(waiting) > _MOST_OPEN:
                waiting.popleft().keys = None
            return found

    def may_insert(self, keys: Sequence[bytes], owner: int, suspects: Suspects | None) -> bool:
        """Return whether keys can be inserted into the table itself, because no layer has any of them.

        Whether the table itself has one, the insertion shows. Without layers, nobody needs to ask.

        Args:
            keys: keys without duplicates. They are expected from now on.
            owner: their source or list.
            suspects: what `suspects` returned for them; None if it was not asked.
        """
        with self._turn:
            answer = suspects.keys if suspects is not None else None
            if suspects is not None and suspects in self._open[owner]:
                self._open[owner].remove(suspects)
        if suspects is None or answer is None:
            self._cover(owner, len(keys))
            keys = self._learn(keys, owner)
        else:
            keys = list({*answer, *suspects.later.intersection(keys)})
        return not keys or not self._locate(keys, owner)

    def divide(self, keys: Sequence[bytes], owner: int) -> dict[str, Sequence[bytes]]:
        """Return name of table → the keys to write there: known ones where they are, the others in the table itself."""
        if not self.layers.exist:
            return {self.layers.table.name: keys}
        located = self._locate(self.possible(keys, owner, make=False), owner)
        found = {key for some in located.values() for key in some}
        others = [key for key in keys if key not in found]
        self._learn(others, owner)
        # The table itself may also have some of the known ones.
        name = self.layers.table.name
        return {**located, name: [*located.get(name, ()), *others]}

    def _locate(self, keys: Sequence[bytes], owner: int) -> dict[str, list[bytes]]:
        return self.layers.locate(keys, **{self.layers.table.owner: owner})

    def possible(self, keys: Sequence[bytes], owner: int, *, make: bool) -> Sequence[bytes]:
        """Return the keys that the tables may have; the others they surely do not have.

        Args:
            keys: keys without duplicates.
            owner: their source or list.
            make: whether to read all keys of the source or list first, because most of the given ones may be new.
        """
        if make:
            self._cover(owner, len(keys))
        with self._turn:
            if self._filter is None or owner not in self._covered:
                return keys
            return [keys[place] for place in self._filter.possible(keys, owner)]

    def drop_filter(self) -> None:
        """Begin without a filter again, because it may lack keys that the tables have."""
        with self._turn:
            self._filter = None
            self._covered.clear()
            for waiting in self._open.values():
                for suspects in waiting:
                    suspects.keys = None
            self._open.clear()

    def _learn(self, keys: Sequence[bytes], owner: int) -> Sequence[bytes]:
        """Add keys to the filter, tell those who asked it before, and return the keys that the tables may have."""
        with self._turn:
            if self._filter is None or owner not in self._covered or not keys:
                return keys
            for suspects in self._open[owner]:
                suspects.later.update(keys)
                if len(suspects.later) > _MOST_LATER:
                    suspects.keys = None
            self._open[owner] = deque(each for each in self._open[owner] if each.keys is not None)
            return [keys[place] for place in self._filter.take(keys, owner)]

    def _cover(self, owner: int, keys: int) -> None:
        """Read the keys of a source or list into the filter, if there are that many new ones.

        It happens within the transaction in which the keys are needed, so that nobody adds keys meanwhile.
        """
        if owner in self._covered or keys < self.layers.sizes.filtered or not self.layers.exist:
            return
        with self._turn:
            known = self._filter = self._filter or _new_filter()
        for page in self.layers.keys(f"{self.layers.table.owner} = ?", owner):
            with self._turn:
                known.take(page, owner)
        with self._turn:
            self._covered.add(owner)


def _new_filter() -> KeyFilter:
    from target_pinterest_audience.ledger.sqlite.keys.key_filter import KeyFilter  # noqa: PLC0415 - it needs NumPy

    return KeyFilter(memory_bytes() // _SHARE)
