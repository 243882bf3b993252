"""Reads a Parquet file in pieces that fit into memory, whatever the file claims.

A small file can unpack to any size: a text that is stored once and meant ten thousand times, a page that is mostly
zeros. So the headers of the needed pages are read first. They tell how many rows may be decoded together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from target_pinterest_audience.file_column import values_of
from target_pinterest_audience.parquet_pages import DELTA_BYTE_ARRAY, MOST_PAGE_BYTES, Page, PageError, pages

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

Table = tuple[Mapping[str, Sequence[Any]], int]
"""Column → values, and how many rows there are."""

_PIECE_ROWS: Final = 10_000
_PIECE_BYTES: Final = 1 << 25
"""How much the rows of a piece take, about, if a page does not take more."""
_GROUP_BYTES: Final = 1 << 23
"""Row groups that follow each other are read together, up to so many bytes."""
_HELD_BYTES: Final = 1 << 28
"""Row groups with larger needed columns are read bit by bit instead of whole."""
_MOST_PAGES_BYTES: Final = 1 << 29
"""How much one page of each needed column may take together."""
_MOST_FOOTER_BYTES: Final = 1 << 25
_MOST_LISTS_BYTES: Final = 1 << 28
_MOST_RATIO: Final = 64
"""Lists of a row group may take so many times its bytes, if they take more than `_MOST_LISTS_BYTES`."""
_STREAM_BUFFER: Final = 1 << 20
_NUMBER_BYTES: Final = 16
"""How much a value of a type of fixed length takes at most, unless the file says how long it is."""
_FOOTER_TAIL: Final = 8
"""The length of the footer, and the letters PAR1 or PARE."""


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
    _check_footer(held)
    metadata = parquet.read_metadata(held)
    leaves = _leaves(metadata.schema, columns)
    groups = [_group(metadata, number, leaves, held.size) for number in range(metadata.num_row_groups)]
    is_large = any(group.size > _HELD_BYTES for group in groups)
    opened = parquet.ParquetFile(
        held, metadata=metadata, coerce_int96_timestamp_unit="us", buffer_size=_STREAM_BUFFER if is_large else 0
    )
    uuids = {leaf.path for leaf in leaves if leaf.is_uuid}
    names = [name for name in opened.schema_arrow.names if columns is None or name in columns]
    probe = _Probe(held, metadata)
    for together in _together(groups):
        if not names:
            # Arrow would make the pieces of all rows at once.
            rows = sum(group.rows for group in together)
            for start in range(0, rows, _PIECE_ROWS):
                yield {}, min(_PIECE_ROWS, rows - start)
            continue
        if not is_large:
            held.hold([chunk for group in together for chunk in group.chunks])
        rows = _rows_at_once([_need(held, together, place, leaf, probe) for place, leaf in enumerate(leaves)])
        batches = opened.iter_batches(rows, [group.number for group in together], names)
        for batch in batches if rows == _PIECE_ROWS else _gathered(batches):
            found = zip(batch.schema.names, batch.columns, strict=True)
            yield {name: values_of(array, is_uuid=name in uuids) for name, array in found}, batch.num_rows


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


class _Group(NamedTuple):
    """A row group.

    Attributes:
        number: its number.
        rows: how many rows it claims.
        chunks: where each of the needed leaves begins, and how many bytes it has.
    """

    number: int
    rows: int
    chunks: Sequence[tuple[int, int]]

    @property
    def size(self) -> int:
        """How many bytes are needed of it."""
        return sum(size for _, size in self.chunks)


def _check_footer(file: _HeldFile) -> None:
    """Check how long the footer is before it is read, since it is read whole.

    Raises:
        PageError: it is too long, or the file is too short to have one.
    """
    if file.size <= _FOOTER_TAIL:
        msg = "it is cut off"
        raise PageError(msg)
    length = int.from_bytes(file.read_at(file.size - _FOOTER_TAIL, 4), "little")
    if length > _MOST_FOOTER_BYTES:
        msg = f"its footer claims {length >> 20:,} MB; write fewer row groups or columns, if it is not damaged"
        raise PageError(msg)


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


def _group(metadata: pq.FileMetaData, number: int, leaves: Sequence[_Leaf], file_size: int) -> _Group:
    """Return where the needed leaves of a row group are.

    Raises:
        PageError: it claims to lie beyond the file.
    """
    group = metadata.row_group(number)
    chunks = []
    for leaf in leaves:
        column = group.column(leaf.place)
        start, size = column.data_page_offset, column.total_compressed_size
        if column.has_dictionary_page and 0 < column.dictionary_page_offset < start:
            start = column.dictionary_page_offset
        if start < 0 or size < 0 or start + size > file_size:
            msg = "it is cut off, or damaged"
            raise PageError(msg)
        chunks.append((start, size))
    return _Group(number, group.num_rows, chunks)


def _together(groups: Sequence[_Group]) -> Iterator[list[_Group]]:
    """Yield row groups that are read together: many small ones would be many small pieces."""
    together: list[_Group] = []
    for group in groups:
        if together and sum(each.size for each in together) + group.size > _GROUP_BYTES:
            yield together
            together = []
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
    """

    leaf: _Leaf
    pages: Sequence[Page]
    rows: Sequence[float]
    dictionary: int
    entry: int

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


def _need(file: _HeldFile, groups: Sequence[_Group], place: int, leaf: _Leaf, probe: _Probe) -> _Need:
    """Return how much memory a leaf takes in some row groups.

    Raises:
        PageError: a page is too big, or the lists of a row group are.
    """
    data: list[Page] = []
    rows: list[float] = []
    dictionary = entry = size = 0
    for group in groups:
        found = list(pages(file.read_at, *group.chunks[place]))
        dictionaries = [page for page in found if page.is_dictionary]
        own = [page for page in found if not page.is_dictionary]
        values = sum(page.values for page in own)
        data += own
        rows += [page.values * group.rows / values if leaf.repeats and values else page.values for page in own]
        size += group.chunks[place][1]
        for page in dictionaries:
            dictionary = max(dictionary, page.size)
            longest = page.size
            if leaf.is_text and longest * _PIECE_ROWS > _PIECE_BYTES and own and own[0].uses_dictionary:
                longest = probe.largest_entry(leaf, group.number) or longest
            entry = max(entry, longest)
    need = _Need(leaf, data, rows, dictionary, entry)
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


class _Probe:
    """Looks how long the entries of dictionaries are: their page tells only how long all of them are together."""

    def __init__(self, file: _HeldFile, metadata: pq.FileMetaData) -> None:
        """Take over an open file."""
        self._file = file
        self._metadata = metadata

    def largest_entry(self, leaf: _Leaf, group: int) -> int | None:
        """Return how long the longest entry of a dictionary is, in bytes; None if Arrow does not tell."""
        import pyarrow as pa  # noqa: PLC0415 - imported already, or there would be no file
        from pyarrow import compute, parquet  # noqa: PLC0415 - likewise

        opened = parquet.ParquetFile(self._file, metadata=self._metadata, read_dictionary=[leaf.path])
        if leaf.path not in opened.schema_arrow.names:
            return None
        row = next(opened.iter_batches(1, [group], [leaf.path]), None)
        # With the first row comes the whole dictionary, whatever the row holds.
        array = row.column(0) if row is not None else None
        if not isinstance(array, pa.DictionaryArray) or not len(array.dictionary):
            return None
        longest: int | None = compute.max(compute.binary_length(array.dictionary)).as_py()
        return longest


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

    def hold(self, chunks: Sequence[tuple[int, int]]) -> None:
        """Keep pieces in memory, in place of those that were kept before.

        Args:
            chunks: where each begins, and how many bytes it has.
        """
        self._held = {}
        for start, size in chunks:
            self._held[start] = self.read_at(start, size)

    def read_at(self, start: int, size: int) -> bytes:
        """Return the bytes from a position on, fewer at the end of the file."""
        for begin, data in self._held.items():
            if begin <= start and start + size <= begin + len(data):
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
