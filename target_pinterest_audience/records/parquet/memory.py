"""How much memory the values of Parquet columns take, and so how many rows may be decoded together.

A small file can unpack to any size: a text that is stored once and used ten thousand times, or a page of zeros. The
headers of the pages show how much, without decoding the pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from target_pinterest_audience.records.parquet.cached_file import CachedFile
from target_pinterest_audience.records.parquet.errors import ParquetError
from target_pinterest_audience.records.parquet.footer import Leaf, RowGroup
from target_pinterest_audience.records.parquet.pages import DELTA_BYTE_ARRAY, Page, longest_text, pages

PIECE_ROWS: Final = 10_000
PIECE_BYTES: Final = 1 << 23
"""The approximate size of the rows that are decoded together, if no page is larger."""
DICTIONARY_TYPES: Final = frozenset({"string", "large_string", "binary", "large_binary"})
"""The types of columns that Arrow can return as indices into a dictionary."""

_MOST_PAGES_BYTES: Final = 1 << 29
"""The largest total size of one page of each needed column."""
_SMALL_DICTIONARY: Final = PIECE_BYTES // PIECE_ROWS
"""A dictionary up to this size may as well be a single entry."""
_MOST_LISTS_BYTES: Final = 1 << 28
_MOST_RATIO: Final = 64
"""Lists larger than `_MOST_LISTS_BYTES` may unpack to this many times the size of their row groups."""
_INDEX_BYTES: Final = 4
_UNCOMPRESSED: Final = 0
_CODECS: Final = {1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}


class LeafMemory(NamedTuple):
    """How much memory the values of a leaf take in some row groups.

    Attributes:
        leaf: the leaf.
        pages: its data pages.
        rows: the number of rows of each page; an estimate if the leaf is inside a list.
        dictionary: the size of its largest dictionary.
        entry: the largest possible size of a dictionary entry.
        is_compact: whether the values are returned as indices into the dictionaries, since no page has other values.
    """

    leaf: Leaf
    pages: Sequence[Page]
    rows: Sequence[float]
    dictionary: int
    entry: int
    is_compact: bool

    @property
    def page(self) -> int:
        """The largest size of one page together with a dictionary."""
        return max((page.size for page in self.pages), default=0) + self.dictionary

    @property
    def each(self) -> int:
        """The largest size that a value can have in addition to its bytes in the page."""
        # A delta-encoded value may repeat all of the value before it.
        return max([self.entry, *(page.size for page in self.pages if page.encoding == DELTA_BYTE_ARRAY)])

    @property
    def whole(self) -> int:
        """The largest size of all values together."""
        values = sum(page.values for page in self.pages)
        if not self.leaf.is_text:
            return values * self.leaf.width
        return sum(page.size for page in self.pages) + values * self.each

    def of_rows(self, rows: int) -> float:
        """Return the largest size that a number of consecutive rows can have."""
        sizes = [0 if page.uses_dictionary else page.size for page in self.pages]
        if not self.leaf.is_text:
            values = sum(page.values for page in self.pages) / max(1, sum(self.rows)) if self.leaf.repeats else 1
            return rows * self.leaf.width * max(1, values)
        # A window over the pages: the rows touch its first and last page, and cover all pages between.
        most = touched = first = 0
        between = 0.0
        """The number of rows in the pages between the first and the last."""
        for last, size in enumerate(sizes):
            touched += size
            if last > first + 1:
                between += self.rows[last - 1]
            while first < last and between > rows - 2:
                touched -= sizes[first]
                first += 1
                between -= self.rows[first] if first < last else 0
            most = max(most, touched)
        return most + rows * self.each


def measure_leaf(
    file: CachedFile, groups: Sequence[RowGroup], index: int, leaf: Leaf, types: Mapping[str, str]
) -> LeafMemory:
    """Return how much memory a leaf takes in some row groups.

    Args:
        file: the file.
        groups: the row groups.
        index: the index of the leaf among the needed leaves.
        leaf: the leaf.
        types: column → its Arrow type.

    Raises:
        ParquetError: a page is damaged or too big, or the lists of a row group are too big.
    """
    data: list[Page] = []
    rows: list[float] = []
    dictionaries: list[tuple[Page, int]] = []
    size = 0
    for group in groups:
        span, codec = group.chunks[index]
        found = list(pages(file.read_at, span.start, span.size))
        dictionaries += [(page, codec) for page in found if page.is_dictionary]
        own = [page for page in found if not page.is_dictionary]
        values = sum(page.values for page in own)
        data += own
        rows += [page.values * group.rows / values if leaf.repeats and values else page.values for page in own]
        size += span.size
    largest = max((page.size for page, _ in dictionaries), default=0)
    is_compact = types.get(leaf.path) in DICTIONARY_TYPES and all(page.uses_dictionary for page in data)
    entry = _INDEX_BYTES if is_compact else largest
    if leaf.is_text and entry > _SMALL_DICTIONARY:
        entry = max(_longest_entry(file, page, codec) for page, codec in dictionaries)
    memory = LeafMemory(leaf, data, rows, largest, entry, is_compact)
    if leaf.repeats and memory.whole > max(_MOST_LISTS_BYTES, size * _MOST_RATIO):
        msg = f"its lists unpack to {memory.whole >> 20:,} MB. If the file is not damaged, write smaller row groups"
        raise ParquetError(msg)
    return memory


def _longest_entry(file: CachedFile, page: Page, codec: int) -> int:
    """Return the largest possible size of an entry of a dictionary.

    Raises:
        ParquetError: the dictionary is damaged.
    """
    import pyarrow as pa  # noqa: PLC0415 - imported already, or there would be no file

    data = file.read_at(page.at, page.packed)
    if codec != _UNCOMPRESSED:
        name = _CODECS.get(codec)
        if name is None:
            return page.size
        data = pa.decompress(data, page.size, name, asbytes=True)
    return longest_text(data, page.values)


def rows_at_once(leaves: Sequence[LeafMemory]) -> int:
    """Return how many rows may be decoded together.

    Raises:
        ParquetError: one page of each column is already too big.
    """
    pages_bytes = sum(memory.page for memory in leaves)
    if pages_bytes > _MOST_PAGES_BYTES:
        msg = (
            f"one page of each of its columns takes {pages_bytes >> 20:,} MB together, and the limit is "
            f"{_MOST_PAGES_BYTES >> 20} MB. Write smaller pages, or fewer columns"
        )
        raise ParquetError(msg)
    most = max(PIECE_BYTES, 2 * pages_bytes)
    rows = PIECE_ROWS
    while rows > 1 and sum(memory.of_rows(rows) for memory in leaves) > most:
        rows //= 2
    return rows
