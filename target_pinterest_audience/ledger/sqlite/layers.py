"""The layers of a big table, which keep a first load fast when the ledger is larger than memory.

New keys lie all over a table, since they are digests. As long as the table fits into memory, that does no harm; beyond
that, each window of new rows would read and write nearly every page of the file. So when the table has grown to
`Sizes.young`, it becomes a layer, and an empty one takes its place. When `Sizes.merged` layers have become about
equally large, their rows move to a new one, in the order of their keys. So a row moves once or twice, however large the
ledger is.

Each key is in one of these tables only. Rows move in steps, and each step is one transaction, so that nothing needs to
be mended after a run that was killed: the next one goes on. And a row can be changed or deleted wherever it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.ledger.sqlite.bulk import first_of

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.sqlite.big_tables import Table
    from target_pinterest_audience.ledger.sqlite.connection import Connection

_PAGE_ROWS: Final = 100_000

_SAMPLE: Final = 32
"""How many keys show which tables have most of them."""

_FEW: Final = 100
"""Fewer keys than these are looked up in one statement."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large tables grow.

    Attributes:
        young: from how many rows on the table itself becomes a layer. Until then it must stay in memory.
        merged: how many layers of about the same size become one: the more, the fewer times a row moves, and the more
            tables a row is looked for in. On the other hand, a small layer has rows that came together: if they come
            together again, they are near each other, and in a large one they are not.
        pace: how many rows move on for each new one, so that what must move has moved before there is more. It is done
            between windows, and more at once would keep the thread waiting that reads the stream.
        filtered: from how many keys on, of one source or list, looking them up may take so long that all known ones had
            better be read into a filter.
        counted: after how many new rows the table is counted again, which reads all of it.
        sampled: from how many keys on a sample shows which tables have most of them.
    """

    young: int = 400_000
    merged: int = 64
    pace: int = 1
    filtered: int = 5_000
    counted: int = 25_000
    sampled: int = 1_000


USUAL: Final = Sizes()


class Layer(NamedTuple):
    """A layer.

    Attributes:
        number: its number; later layers have greater ones.
        rows: how many rows moved there, less those that moved on.
        target: the number of the layer that its rows are moving to; None if they stay.
    """

    number: int
    rows: int
    target: int | None


def due(layers: Sequence[Layer], sizes: Sizes) -> list[list[Layer]]:
    """Return which layers should become one: those of about the same size, where there are enough.

    Layers that move already, or that others move to, are left alone.
    """
    targets = {layer.target for layer in layers}
    alike: dict[int, list[Layer]] = defaultdict(list)
    for layer in layers:
        if layer.target is None and layer.number not in targets:
            alike[_tier(layer.rows, sizes)].append(layer)
    return [found for _, found in sorted(alike.items()) if len(found) >= sizes.merged]


def _tier(rows: int, sizes: Sizes) -> int:
    tier = 0
    while rows >= sizes.young:
        rows //= sizes.merged
        tier += 1
    return tier


class Layers:
    """The layers of one table.

    Attributes:
        table: the table.
        sizes: how large tables grow.
    """

    def __init__(self, connection: Connection, table: Table, sizes: Sizes) -> None:
        """Bind to a table.

        Args:
            connection: the connection to the ledger.
            table: the table.
            sizes: how large tables grow.
        """
        self.sizes = sizes
        self._connection = connection
        self.table = table
        self._rows_since = 0
        """How many rows may have been written since the table was counted."""
        self._young: int | None = None
        """How many rows the table had when it was counted; None if it was not."""

    def all(self) -> list[Layer]:
        """Return the layers, largest first: most keys are found in the first one."""
        found = self._connection.query(
            "SELECT layer, row_count, target FROM layers WHERE table_name = ? ORDER BY row_count DESC, layer",
            self.table.name,
        )
        return [Layer(*each) for each in found]

    @property
    def exist(self) -> bool:
        """Whether there is a layer."""
        return bool(self.all())

    def file_bytes(self) -> int:
        """Return the size of the ledger's file."""
        ((size,),) = self._connection.query("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        return int(size)

    def names(self) -> list[str]:
        """Return the names of the layers, largest first, and of the table itself."""
        return [*(self.table.of_layer(each.number) for each in self.all()), self.table.name]

    def guess(self, keys: Sequence[bytes], owner: int) -> dict[str, list[slice]]:
        """Return name of table → the slices of `keys` that it probably has, for all tables, those with most first.

        Many taps send rows in the order in which they were loaded. So a sample of the keys tells of those beside it.

        Args:
            keys: keys without duplicates.
            owner: their list; ignored for rows, whose keys are enough.
        """
        names = self.names()
        guess: dict[str, list[slice]] = {name: [] for name in names}
        if len(names) == 1 or len(keys) < self.sizes.sampled:
            guess[names[0]].append(slice(len(keys)))
            return guess
        step = max(1, len(keys) // _SAMPLE)
        table_of = {key: name for name, some in self._find_few("1", keys[::step], owner).items() for key in some}
        for start in range(0, len(keys), step):
            guess[table_of.get(keys[start], self.table.name)].append(slice(start, start + step))
        return dict(sorted(guess.items(), key=lambda each: len(each[1]), reverse=True))

    def find(self, value: str, keys: Sequence[bytes], owner: int) -> Iterator[tuple[str, dict[bytes, str]]]:
        """Look keys up, in one table after the other, so that the pages of each are read in their order.

        Args:
            value: the expression to return for each key, as text without commas.
            keys: keys without duplicates.
            owner: see `guess`.

        Yields:
            The name of each table that has some of the keys, and key → value.
        """
        if len(keys) < _FEW:
            yield from self._find_few(value, keys, owner).items()
            return
        left, is_sorted = list(keys), False
        for name in self.guess(keys, owner):
            source = f"places CROSS JOIN {name} ON {self.table.at}"
            found = self._connection.find(value, source, left, in_order=is_sorted, **{self.table.owner: owner})
            if found:
                yield name, found
                left = [key for key in left if key not in found]
            # SQLite sorts the keys for the first table, while other threads run. They need not be sorted again.
            if not is_sorted:
                left.sort()
                is_sorted = True

    def _find_few(self, value: str, keys: Sequence[bytes], owner: int) -> dict[str, dict[bytes, str]]:
        """Return what `find` does, by one statement: for few keys, one for each table would take longer."""
        names = self.names()
        at = self.table.at
        tests = [f"(SELECT {place} || ' ' || {value} FROM {name} WHERE {at})" for place, name in enumerate(names)]
        # With a limit, SQLite computes the value once.
        source = f"(SELECT place, {first_of(tests)} AS found FROM places LIMIT -1) WHERE found IS NOT NULL"
        texts = self._connection.find("found", source, keys, in_order=False, **{self.table.owner: owner})
        found: dict[str, dict[bytes, str]] = defaultdict(dict)
        for key, text in texts.items():
            place, _, of_key = text.partition(" ")
            found[names[int(place)]][key] = of_key
        return found

    def locate(self, keys: Sequence[bytes], owner: int) -> dict[str, list[bytes]]:
        """Return name of table → which of the keys are there; see `find`."""
        return {name: list(found) for name, found in self.find("1", keys, owner)}

    def keys(self, condition: str, *parameters: object) -> Iterator[list[bytes]]:
        """Yield the last parts of the keys of all rows that meet a condition, in pages."""
        last = self.table.key[-1]
        for name in self.names():
            after = b""
            while True:
                ((found,),) = self._connection.query(
                    f"SELECT group_concat(hex({last})) FROM (SELECT {last} FROM {name} "
                    f"WHERE {condition} AND {last} > ? ORDER BY {last} LIMIT {_PAGE_ROWS})",
                    *parameters, after,
                )  # fmt: skip
                if not found:
                    break
                page = [bytes.fromhex(each) for each in found.split(",")]
                yield page
                after = page[-1]

    def tidy(self, rows: int) -> None:
        """Move rows on to the next layer, if it is time. Call it within a transaction of its own.

        As many move as are new: a run that finds nothing new must not spend its time with moving.

        Args:
            rows: how many rows are about to be written at most. Until they are many, it is not worth while to count
                those that the table has.
        """
        self._rows_since += rows
        if self._rows_since < self.sizes.counted:
            return
        rows, self._rows_since = self._rows_since, 0
        ((young,),) = self._connection.query(f"SELECT COUNT(*) FROM {self.table.name}")
        grown = rows if self._young is None else max(0, young - self._young)
        self._young = young
        if young >= self.sizes.young:
            self._become_layer(young)
            self._young = 0
        for layers in due(self.all(), self.sizes):
            target = self._create()
            for layer in layers:
                self._connection.query(
                    "UPDATE layers SET target = ? WHERE table_name = ? AND layer = ?",
                    target, self.table.name, layer.number,
                )  # fmt: skip
        if not grown:
            return
        moving: dict[int, list[int]] = defaultdict(list)
        for layer in self.all():
            if layer.target is not None:
                moving[layer.target].append(layer.number)
        # Small layers must not wait until large ones have moved.
        for target, numbers in moving.items():
            self._move(numbers, target, grown * self.sizes.pace)

    def _next(self) -> int:
        ((number,),) = self._connection.query(
            "SELECT COALESCE(MAX(layer), 0) + 1 FROM layers WHERE table_name = ?", self.table.name
        )
        return int(number)

    def _create(self) -> int:
        """Add an empty layer."""
        number = self._next()
        self._copy_definition(self.table.of_layer(number), self.table.name)
        self._note(number, 0)
        return number

    def _note(self, number: int, rows: int) -> None:
        self._connection.query(
            "INSERT INTO layers (table_name, layer, row_count) VALUES (?, ?, ?)", self.table.name, number, rows
        )

    def _copy_definition(self, name: str, of: str) -> None:
        ((definition,),) = self._connection.query("SELECT sql FROM sqlite_master WHERE name = ?", of)
        self._connection.query(f"CREATE TABLE {name} {definition[definition.index('(') :]}")

    def _become_layer(self, rows: int) -> None:
        """Turn the table itself into a layer, and begin with an empty one."""
        number, table = self._next(), self.table.name
        layer = self.table.of_layer(number)
        self._connection.query(f"ALTER TABLE {table} RENAME TO {layer}")
        self._copy_definition(table, layer)
        self._note(number, rows)

    def _move(self, numbers: Sequence[int], target: int, rows: int) -> None:
        """Move the next rows of some layers to their target, in the order of their keys: about as many as given."""
        names = {number: self.table.of_layer(number) for number in numbers}
        bound = self._bound(list(names.values()), rows // len(names))
        parameters = {f"key_{number}": part for number, part in enumerate(bound or ())}
        condition = self.table.up_to if bound else "TRUE"
        columns = self.table.columns
        parts = [f"SELECT {columns} FROM {name} WHERE {condition}" for name in names.values()]
        # Without the limit, SQLite would merge the parts two by two, which takes longer than to sort them.
        moved = self._connection.change(
            f"INSERT INTO {self.table.of_layer(target)} ({columns}) "
            f"SELECT * FROM ({' UNION ALL '.join(parts)} LIMIT -1) ORDER BY {self.table.order}",
            parameters,
        )
        self._count(target, moved)
        for number, name in names.items():
            self._count(number, -self._connection.change(f"DELETE FROM {name} WHERE {condition}", parameters))
            if not bound:
                self._connection.query(f"DROP TABLE {name}")
                self._connection.query("DELETE FROM layers WHERE table_name = ? AND layer = ?", self.table.name, number)

    def _bound(self, names: Sequence[str], rows: int) -> tuple[object, ...] | None:
        """Return a key up to which no table has many more rows than given; None if all tables have at most as many."""
        found = [
            key
            for name in names
            for key in self._connection.query(
                f"SELECT {self.table.order} FROM {name} ORDER BY {self.table.order} LIMIT 1 OFFSET ?",
                max(1, rows),
            )
        ]
        return min(found, default=None)

    def _count(self, number: int, difference: int) -> None:
        self._connection.query(
            "UPDATE layers SET row_count = MAX(0, row_count + ?) WHERE table_name = ? AND layer = ?",
            difference, self.table.name, number,
        )  # fmt: skip
