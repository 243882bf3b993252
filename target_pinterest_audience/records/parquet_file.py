"""Reads a Parquet file in pieces that fit into memory, whatever the file claims.

A small file can unpack to any size: a text that is stored once and meant ten thousand times, a page that is mostly
zeros. So the headers of the needed pages are read first. They tell how many rows may be decoded together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from target_pinterest_audience.records.arrow_column import values_of
from target_pinterest_audience.records.column_names import plain_columns
from target_pinterest_audience.records.compact_thrift import ThriftError, read_struct
from target_pinterest_audience.records.parquet_pages import (
    DELTA_BYTE_ARRAY,
    MOST_PAGE_BYTES,
    Page,
    PageError,
    longest_text,
    pages,
)

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

Table = tuple[Mapping[str, Sequence[Any]], int]
"""Column → values, and how many rows there are."""

_PIECE_ROWS: Final = 10_000
_PIECE_BYTES: Final = 1 << 23
"""How much the rows of a piece take, about, if a page does not take more."""
_GROUP_BYTES: Final = 1 << 23
"""Row groups that follow each other are read together, up to so many bytes."""
_HELD_BYTES: Final = 1 << 28
"""Row groups with larger needed columns are read bit by bit instead of whole."""
_MOST_PAGES_BYTES: Final = 1 << 29
"""How much one page of each needed column may take together."""
_SMALL_DICTIONARY: Final = _PIECE_BYTES // _PIECE_ROWS
"""A dictionary of so few bytes may as well be a single entry."""
_MOST_FOOTER_BYTES: Final = 1 << 25
_MOST_LISTS_BYTES: Final = 1 << 28
_MOST_RATIO: Final = 64
"""Lists of a row group may take so many times its bytes, if they take more than `_MOST_LISTS_BYTES`."""
_DIVISIBLE: Final = frozenset({"string", "large_string", "binary", "large_binary"})
"""The types of columns that can be read as references to a dictionary."""
_REFERENCE_BYTES: Final = 4
_UNCOMPRESSED: Final = 0
_CODECS: Final = {1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}
_STREAM_BUFFER: Final = 1 << 20
_NUMBER_BYTES: Final = 16
"""How much a value of a type of fixed length takes at most, unless the file says how long it is."""
_FOOTER_TAIL: Final = 8
"""The length of the footer, and the letters PAR1 or PARE."""

_ROW_GROUPS, _COLUMNS, _ROWS, _METADATA, _CODEC, _SIZE, _DATA_START, _DICTIONARY_START = 4, 1, 3, 3, 4, 7, 9, 11
"""The numbers of fields in the footer."""
_WANTED: Final = {
    _ROW_GROUPS: {
        _COLUMNS: {_METADATA: dict.fromkeys((_CODEC, _SIZE, _DATA_START, _DICTIONARY_START))},
        _ROWS: None,
    }
}


def read_tables(file: IO[bytes], columns: Sequence[str] | None) -> Iterator[Table]:
    """Yield the rows of a Parquet file, some thousand at a time.

    Args:
        file: the file, which must be seekable.
        columns: the columns that are needed; those that the file lacks are left out. None for all.

    Raises:
        PageError: the file is damaged, or has rows or pages that are too big.
        Exception: whatever Arrow raises for a damaged file.
    """
    from pyarrow import parquet  # noqa: PLC0415 - heavy, and only for those with such files

    held = _HeldFile(file)
    claimed = _row_groups(held)
    metadata = parquet.read_metadata(held)
    if columns is not None:
        there = plain_columns({name: name for name in metadata.schema.to_arrow_schema().names})
        columns = [there[name] for name in columns if name in there]
    leaves = _leaves(metadata.schema, columns)
    groups = [_group(number, each, leaves, held.size) for number, each in enumerate(claimed) if each.get(_ROWS)]
    is_large = any(group.size > _HELD_BYTES for group in groups)
    options = {"coerce_int96_timestamp_unit": "us", "buffer_size": _STREAM_BUFFER if is_large else 0}
    opened = parquet.ParquetFile(held, metadata=metadata, **options)
    uuids = {leaf.path for leaf in leaves if leaf.is_uuid}
    kinds = {field.name: str(field.type) for field in opened.schema_arrow if columns is None or field.name in columns}
    names = list(kinds)
    readers = {frozenset[str](): opened}
    for together in _together(groups):
        if not names:
            # Arrow would make the pieces of all rows at once.
            rows = sum(group.rows for group in together)
            for start in range(0, rows, _PIECE_ROWS):
                yield {}, min(_PIECE_ROWS, rows - start)
            continue
        if not is_large:
            held.hold([chunk for group in together for chunk in group.chunks])
        needs = [_need(held, together, place, leaf, kinds) for place, leaf in enumerate(leaves)]
        rows = _rows_at_once(needs)
        compact = frozenset(need.leaf.path for need in needs if need.is_compact)
        if compact not in readers:
            readers[compact] = parquet.ParquetFile(held, metadata=metadata, read_dictionary=compact, **options)
        batches = readers[compact].iter_batches(rows, [group.number for group in together], names)
        for batch in _divided(batches if rows == _PIECE_ROWS else _gathered(batches)):
            arrays = zip(batch.schema.names, batch.columns, strict=True)
            found = {name: values_of(array, is_uuid=name in uuids) for name, array in arrays}
            yield plain_columns(found), batch.num_rows


class _Leaf(NamedTuple):
    """A column as it is stored: one for each field of an object.

    Attributes:
        place: its place in the file.
        path: its name, and that of what it is in.
        is_text: whether its values have any length.
        width: how long each is otherwise, in bytes.
        repeats: whether it is in a list.
        is_uuid: whether the file says that its values are UUIDs.
    """

    place: int
    path: str
    is_text: bool
    width: int
    repeats: bool
    is_uuid: bool


class _Chunk(NamedTuple):
    """Where a leaf is in a row group.

    Attributes:
        start: where it begins.
        size: how many bytes it has.
        codec: how it is compressed.
    """

    start: int
    size: int
    codec: int


class _Group(NamedTuple):
    """A row group.

    Attributes:
        number: its number.
        rows: how many rows it claims.
        chunks: where each of the needed leaves is.
    """

    number: int
    rows: int
    chunks: Sequence[_Chunk]

    @property
    def size(self) -> int:
        """How many bytes are needed of it."""
        return sum(chunk.size for chunk in self.chunks)


def _row_groups(file: _HeldFile) -> Sequence[Mapping[int, Any]]:
    """Return what the footer says of row groups.

    Raises:
        PageError: it is too long, or the file has none.
    """
    if file.size <= _FOOTER_TAIL:
        msg = "it is cut off"
        raise PageError(msg)
    length = int.from_bytes(file.read_at(file.size - _FOOTER_TAIL, 4), "little")
    if length > _MOST_FOOTER_BYTES:
        msg = f"its footer claims {length >> 20:,} MB; write fewer row groups or columns, if it is not damaged"
        raise PageError(msg)
    footer = file.read_at(max(0, file.size - _FOOTER_TAIL - length), length)
    try:
        found, _ = read_struct(footer, 0, _WANTED)
    except IndexError:
        msg = "its footer is cut off, or damaged"
        raise PageError(msg) from None
    except ThriftError as error:
        msg = f"its footer {error}"
        raise PageError(msg) from None
    groups: Sequence[Mapping[int, Any]] = found.get(_ROW_GROUPS) or []
    return groups


def _leaves(schema: pq.ParquetSchema, columns: Sequence[str] | None) -> list[_Leaf]:
    """Return the leaves of needed columns."""
    found = []
    for place in range(len(schema)):
        column = schema.column(place)
        path = column.path
        if columns is not None and not any(path == name or path.startswith(f"{name}.") for name in columns):
            continue
        physical = column.physical_type
        is_fixed = physical == "FIXED_LEN_BYTE_ARRAY"
        width = column.length if is_fixed else _NUMBER_BYTES
        if width > MOST_PAGE_BYTES:
            msg = f"it claims values of {width >> 20:,} MB each"
            raise PageError(msg)
        is_uuid = column.logical_type.type == "UUID"
        repeats = column.max_repetition_level > 0
        found.append(_Leaf(place, path, physical == "BYTE_ARRAY", width, repeats, is_uuid))
    return found


def _group(number: int, claimed: Mapping[int, Any], leaves: Sequence[_Leaf], file_size: int) -> _Group:
    """Return where the needed leaves of a row group are.

    Raises:
        PageError: it does not say, or claims to lie beyond the file.
    """
    chunks = []
    columns = claimed.get(_COLUMNS) or []
    for leaf in leaves:
        column = (columns[leaf.place] if leaf.place < len(columns) else {}).get(_METADATA, {})
        start, dictionary, size = (column.get(field, -1) for field in (_DATA_START, _DICTIONARY_START, _SIZE))
        if 0 < dictionary < start:
            start = dictionary
        if claimed[_ROWS] < 0 or start < 0 or size < 0 or start + size > file_size:
            msg = "it is cut off, or damaged"
            raise PageError(msg)
        chunks.append(_Chunk(start, size, column.get(_CODEC, -1)))
    return _Group(number, claimed[_ROWS], chunks)


def _together(groups: Sequence[_Group]) -> Iterator[list[_Group]]:
    """Yield row groups that are read together: many small ones would be many small pieces."""
    together: list[_Group] = []
    size = 0
    for group in groups:
        size += group.size
        if together and size > _GROUP_BYTES:
            yield together
            together, size = [], group.size
        together.append(group)
    if together:
        yield together


class _Need(NamedTuple):
    """How much memory the values of a leaf take in some row groups.

    Attributes:
        leaf: the leaf.
        pages: its pages of data.
        rows: how many rows each of these has; about, if the leaf is in a list.
        dictionary: how large the largest of its dictionaries is.
        entry: how long an entry of its dictionaries may be.
        is_compact: whether its values are read as references to dictionaries, which is all that they are.
    """

    leaf: _Leaf
    pages: Sequence[Page]
    rows: Sequence[float]
    dictionary: int
    entry: int
    is_compact: bool

    @property
    def page(self) -> int:
        """How much one page takes at most, and the dictionary beside it."""
        return max((page.size for page in self.pages), default=0) + self.dictionary

    @property
    def each(self) -> int:
        """How long a value may be, beyond what it takes in its page."""
        # A value may repeat all of the one before it.
        return max([self.entry, *(page.size for page in self.pages if page.encoding == DELTA_BYTE_ARRAY)])

    @property
    def whole(self) -> int:
        """How much all values take at most."""
        values = sum(page.values for page in self.pages)
        if not self.leaf.is_text:
            return values * self.leaf.width
        return sum(page.size for page in self.pages) + values * self.each

    def of(self, rows: int) -> float:
        """Return how much so many rows that follow each other take at most."""
        sizes = [0 if page.uses_dictionary else page.size for page in self.pages]
        if not self.leaf.is_text:
            values = sum(page.values for page in self.pages) / max(1, sum(self.rows)) if self.leaf.repeats else 1
            return rows * self.leaf.width * max(1, values)
        most = touched = first = 0
        between = 0.0
        """How many rows there are in the pages between the first and the last."""
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


def _need(file: _HeldFile, groups: Sequence[_Group], place: int, leaf: _Leaf, kinds: Mapping[str, str]) -> _Need:
    """Return how much memory a leaf takes in some row groups.

    Args:
        file: the file.
        groups: the row groups.
        place: the place of the leaf among those that are needed.
        leaf: the leaf.
        kinds: column → its type.

    Raises:
        PageError: a page is too big, or the lists of a row group are.
    """
    data: list[Page] = []
    rows: list[float] = []
    dictionaries: list[tuple[Page, int]] = []
    size = 0
    for group in groups:
        found = list(pages(file.read_at, group.chunks[place].start, group.chunks[place].size))
        dictionaries += [(page, group.chunks[place].codec) for page in found if page.is_dictionary]
        own = [page for page in found if not page.is_dictionary]
        values = sum(page.values for page in own)
        data += own
        rows += [page.values * group.rows / values if leaf.repeats and values else page.values for page in own]
        size += group.chunks[place].size
    largest = max((page.size for page, _ in dictionaries), default=0)
    is_compact = kinds.get(leaf.path) in _DIVISIBLE and all(page.uses_dictionary for page in data)
    entry = _REFERENCE_BYTES if is_compact else largest
    if leaf.is_text and entry > _SMALL_DICTIONARY:
        entry = max(_longest_entry(file, page, codec) for page, codec in dictionaries)
    need = _Need(leaf, data, rows, largest, entry, is_compact)
    if leaf.repeats and need.whole > max(_MOST_LISTS_BYTES, size * _MOST_RATIO):
        msg = f"its lists unpack to {need.whole >> 20:,} MB; write smaller row groups, if it is not damaged"
        raise PageError(msg)
    return need


def _rows_at_once(needs: Sequence[_Need]) -> int:
    """Return how many rows may be decoded together.

    Raises:
        PageError: the pages of all columns together are too big.
    """
    held = sum(need.page for need in needs)
    if held > _MOST_PAGES_BYTES:
        msg = (
            f"a page of each of its columns takes {held >> 20:,} MB together, and the target takes "
            f"{_MOST_PAGES_BYTES >> 20} MB at most; write smaller pages, or hand over fewer columns"
        )
        raise PageError(msg)
    most = max(_PIECE_BYTES, 2 * held)
    rows = _PIECE_ROWS
    while rows > 1 and sum(need.of(rows) for need in needs) > most:
        rows //= 2
    return rows


def _longest_entry(file: _HeldFile, page: Page, codec: int) -> int:
    """Return how long the longest entry of a dictionary may be, in bytes.

    Raises:
        PageError: it is damaged.
    """
    import pyarrow as pa  # noqa: PLC0415 - imported already, or there would be no file

    data = file.read_at(page.at, page.packed)
    if codec != _UNCOMPRESSED:
        name = _CODECS.get(codec)
        if name is None:
            return page.size
        data = pa.decompress(data, page.size, name, asbytes=True)
    return longest_text(data, page.values)


def _divided(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches of so few rows that the texts fit into memory to which their dictionaries refer."""
    import pyarrow as pa  # noqa: PLC0415 - imported already, or there would be no batch
    from pyarrow import compute  # noqa: PLC0415 - likewise

    for batch in batches:
        each = 0
        for array in batch.columns:
            if isinstance(array, pa.DictionaryArray) and str(array.dictionary.type) in _DIVISIBLE:
                each += compute.max(compute.binary_length(array.dictionary)).as_py() or 0
        rows = max(1, min(batch.num_rows, _PIECE_BYTES // max(1, each)))
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches of some thousand rows, made of smaller ones unless these are large."""
    import pyarrow as pa  # noqa: PLC0415 - imported already, or there would be no batch

    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= _PIECE_ROWS or sum(each.nbytes for each in waiting) >= _PIECE_BYTES:
            yield from pa.Table.from_batches(waiting).combine_chunks().to_batches()
            waiting = []
    if waiting:
        yield from pa.Table.from_batches(waiting).combine_chunks().to_batches()


class _HeldFile:
    """A file of which some pieces are kept in memory, as they are stored, so that they are read only once.

    It is what Arrow reads from, too.

    Attributes:
        size: how many bytes it has.
        closed: whether it is closed, which is up to whoever opened it.
    """

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        """Take over an open file, which must be seekable."""
        self._file = file
        self.size = file.seek(0, 2)
        self._at = 0
        self._held: dict[int, bytes] = {}
        self._starts: list[int] = []

    def hold(self, chunks: Sequence[_Chunk]) -> None:
        """Keep pieces in memory, in place of those that were kept before."""
        self._held, self._starts = {}, []
        self._held = {chunk.start: self.read_at(chunk.start, chunk.size) for chunk in chunks}
        self._starts = sorted(self._held)

    def read_at(self, start: int, size: int) -> bytes:
        """Return the bytes from a position on, fewer at the end of the file."""
        place = bisect_right(self._starts, start) - 1
        if place >= 0:
            begin = self._starts[place]
            data = self._held[begin]
            if start + size <= begin + len(data):
                return data[start - begin : start - begin + size]
        self._file.seek(start)
        return self._file.read(min(size, max(0, self.size - start)))

    # What Arrow asks of a file.

    def read(self, size: int = -1) -> bytes:
        """Return the bytes that come next."""
        data = self.read_at(self._at, size if size >= 0 else self.size)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position."""
        self._at = offset + (self._at if whence == 1 else self.size if whence == 2 else 0)  # noqa: PLR2004 - as everywhere
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read from anywhere."""
        return True

    def close(self) -> None:
        """Leave it open: whoever opened it closes it."""
