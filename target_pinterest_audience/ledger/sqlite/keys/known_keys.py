"""Tells which keys a table with layers knows, without reading most of its pages.

When a run has looked up so many new keys of a source or list that all known ones could have been read meanwhile, these
are read into a filter, which then learns of each key that this process adds. No other process can add any: whoever adds
rows of a source or members of a list holds its lock, and this process has held it since before the keys were read.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
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

_MOST_REMEMBERED: Final = 200_000
"""For how many keys at most it is remembered which table has them."""

_CACHED: Final = 2
"""The share of the memory that the system probably keeps pages of the file in."""

_DISK_READ: Final = 64
"""How many keys can be read one after the other while one page is read from the disk: about one, if the page is in
memory."""

_FIRST_LOAD: Final = 8
"""How many times a look-up counts if all keys of its window are expected to be new."""

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
        self._table_of: dict[int, dict[bytes, str | None]] = defaultdict(dict)
        """List → identity → its table, as of the transaction in progress; for rows, which need no list, under 0."""
        self._in_transaction = False
        """Whether no other process can move a key, so that its table can be remembered."""
        self._looked_up: Counter[int] = Counter()
        """Source or list → how many keys were looked up in every table, because they are new."""
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
            # More are likely to follow, and with a filter the next window is prepared while this one is written.
            self._cover(owner, len(keys), _FIRST_LOAD)
            self._looked_up[owner] += len(keys)
            keys = self._learn(keys, owner)
        else:
            keys = list({*answer, *suspects.later.intersection(keys)})
        return not keys or not self.layers.locate(keys, owner)

    def find(self, value: str, keys: Sequence[bytes], owner: int, *, fill: bool) -> dict[bytes, str]:
        """Look keys up, and remember until the next write which table has each.

        Args:
            value: the expression to return for each key, as text without commas.
            keys: keys without duplicates.
            owner: their source or list.
            fill: whether to read all keys of the source or list first if that may be faster, because most of the given
                ones may be new.

        Returns:
            Key → value, for those that the tables have.
        """
        if fill and self._in_transaction:
            self._cover(owner, len(keys))
        values: dict[bytes, str] = {}
        table_of: dict[bytes, str | None] = dict.fromkeys(keys)
        for name, found in self.layers.find(value, self._possible(keys, owner), owner):
            values.update(found)
            table_of.update(dict.fromkeys(found, name))
        if fill:
            self._looked_up[owner] += len(keys) - len(values)
        self.remember(table_of, owner)
        return values

    def remember(self, table_of: Mapping[bytes, str | None], owner: int) -> None:
        """Remember until the next write, or the end of the transaction, which table has a key; None if none has it."""
        if self._in_transaction:
            if sum(map(len, self._table_of.values())) > _MOST_REMEMBERED:
                self.forget_tables()
            self._table_of[self._scope(owner)].update(table_of)

    def forget_tables(self) -> None:
        """Forget which table has a key, because keys were written or deleted."""
        self._table_of.clear()

    def begin(self) -> None:
        """Note that a transaction has begun."""
        self._in_transaction = True

    def end(self) -> None:
        """Note that the transaction is over."""
        self._in_transaction = False
        self.forget_tables()

    def locate(self, keys: Sequence[bytes], owner: int) -> dict[str, list[bytes]]:
        """Return name of table → which of the keys are there. If there are no layers, all may be in the table."""
        if not self.layers.exist:
            return {self.layers.table.name: list(keys)}
        return _grouped({key: name for key, name in self._tables_of(keys, owner).items() if name is not None})

    def divide(self, keys: Sequence[bytes], owner: int) -> dict[str, list[bytes]]:
        """Return name of table → the keys to write there: known ones where they are, the others in the table itself."""
        young = self.layers.table.name
        if not self.layers.exist:
            return {young: list(keys)}
        table_of = self._tables_of(keys, owner)
        others = [key for key, name in table_of.items() if name is None]
        self._learn(others, owner)
        return _grouped({key: name or young for key, name in table_of.items()})

    def _tables_of(self, keys: Sequence[bytes], owner: int) -> dict[bytes, str | None]:
        remembered = self._table_of.get(self._scope(owner), {})
        table_of = {key: remembered[key] for key in keys if key in remembered}
        rest = [key for key in keys if key not in table_of]
        table_of.update(dict.fromkeys(rest))
        for name, some in self.layers.locate(self._possible(rest, owner), owner).items() if rest else ():
            table_of.update(dict.fromkeys(some, name))
        return table_of

    def _scope(self, owner: int) -> int:
        """Return the list of an identity, or 0 for a row: its key is of one source only."""
        return owner if self.layers.table.owner in self.layers.table.key else 0

    def _possible(self, keys: Sequence[bytes], owner: int) -> Sequence[bytes]:
        """Return the keys that the tables may have; the others they surely do not have."""
        with self._turn:
            if self._filter is None or owner not in self._covered:
                return keys
            return [keys[place] for place in self._filter.possible(keys, owner)]

    def drop_filter(self) -> None:
        """Begin without a filter again, because it may lack keys that the tables have, and forget where keys are."""
        self.forget_tables()
        with self._turn:
            self._filter = None
            self._covered.clear()
            self._looked_up.clear()
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

    def _cover(self, owner: int, keys: int, weight: int = 1) -> None:
        """Read the keys of a source or list into the filter, if looking keys up has taken as long as that takes.

        So it takes at most about twice as long as the better way, whatever follows. It happens within the transaction
        in which the keys are needed, so that nobody adds keys meanwhile.

        Args:
            owner: the source or list.
            keys: how many keys are to be looked up now.
            weight: how many times each look-up counts.
        """
        keys += self._looked_up[owner]
        if owner in self._covered or keys < self.layers.sizes.filtered:
            return
        layers = self.layers.all()
        from_disk = self.layers.file_bytes() > memory_bytes() // _CACHED
        pages = keys * len(layers) * (_DISK_READ if from_disk else 1)
        if not layers or pages * weight < sum(layer.rows for layer in layers):
            return
        with self._turn:
            known = self._filter = self._filter or _new_filter()
        for page in self.layers.keys(f"{self.layers.table.owner} = ?", owner):
            with self._turn:
                known.take(page, owner)
        with self._turn:
            self._covered.add(owner)


def _grouped(table_of: Mapping[bytes, str]) -> dict[str, list[bytes]]:
    grouped: dict[str, list[bytes]] = defaultdict(list)
    for key, name in table_of.items():
        grouped[name].append(key)
    return grouped


def _new_filter() -> KeyFilter:
    from target_pinterest_audience.ledger.sqlite.keys.key_filter import KeyFilter  # noqa: PLC0415 - it needs NumPy

    return KeyFilter(memory_bytes() // _SHARE)
