"""The footer of a Parquet file: its row groups, and where the needed columns lie in them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from target_pinterest_audience.records.parquet.cached_file import CachedFile, Span
from target_pinterest_audience.records.parquet.errors import ParquetError
from target_pinterest_audience.records.parquet.pages import MOST_PAGE_BYTES
from target_pinterest_audience.records.parquet.thrift import ThriftError, read_struct
from target_pinterest_audience.records.paths import Path

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_GROUP_BYTES: Final = 1 << 23
"""Consecutive row groups are read together up to this size."""
_MOST_FOOTER_BYTES: Final = 1 << 25
_NUMBER_BYTES: Final = 16
"""The largest value of a fixed-length type whose length the file does not give."""
_TAIL_BYTES: Final = 8
"""The length of the footer, and the letters PAR1 or PARE."""

_ROW_GROUPS, _COLUMNS, _ROWS, _METADATA, _CODEC, _SIZE, _DATA_START, _DICTIONARY_START = 4, 1, 3, 3, 4, 7, 9, 11
"""The numbers of fields in the footer."""
_WANTED: Final = {
    _ROW_GROUPS: {
        _COLUMNS: {_METADATA: dict.fromkeys((_CODEC, _SIZE, _DATA_START, _DICTIONARY_START))},
        _ROWS: None,
    }
}


class Leaf(NamedTuple):
    """A column as Parquet stores it: an object has one leaf for each of its fields.

    Attributes:
        ordinal: its index in the file's schema.
        path: its name, after the names of the objects that hold it.
        is_text: whether its values vary in length.
        width: the size in bytes of each value of fixed length.
        repeats: whether it is inside a list.
        is_uuid: whether the file declares its values to be UUIDs.
    """

    ordinal: int
    path: str
    is_text: bool
    width: int
    repeats: bool
    is_uuid: bool


class Chunk(NamedTuple):
    """The part of a row group that holds one leaf.

    Attributes:
        span: where the chunk lies in the file.
        codec: the number of its compression.
    """

    span: Span
    codec: int


class RowGroup(NamedTuple):
    """A row group.

    Attributes:
        number: its number.
        rows: how many rows it claims to have.
        chunks: the chunk of each needed leaf.
    """

    number: int
    rows: int
    chunks: Sequence[Chunk]

    @property
    def size(self) -> int:
        """The size of the needed chunks in bytes."""
        return sum(chunk.span.size for chunk in self.chunks)


def read_footer(file: CachedFile) -> Sequence[Mapping[int, Any]]:
    """Return the fields of each row group in the footer, by number.

    Raises:
        ParquetError: the footer is damaged or too long.
    """
    if file.size <= _TAIL_BYTES:
        msg = "it is truncated"
        raise ParquetError(msg)
    length = int.from_bytes(file.read_at(file.size - _TAIL_BYTES, 4), "little")
    if length > _MOST_FOOTER_BYTES:
        msg = f"its footer claims {length >> 20:,} MB. If the file is not damaged, write fewer row groups or columns"
        raise ParquetError(msg)
    footer = file.read_at(max(0, file.size - _TAIL_BYTES - length), length)
    try:
        found, _ = read_struct(footer, 0, _WANTED)
    except IndexError:
        msg = "its footer is truncated or damaged"
        raise ParquetError(msg) from None
    except ThriftError as error:
        msg = f"its footer {error}"
        raise ParquetError(msg) from None
    groups: Sequence[Mapping[int, Any]] = found.get(_ROW_GROUPS) or []
    return groups


def find_leaves(schema: pq.ParquetSchema, columns: Sequence[str] | None, paths: Collection[Path] = ()) -> list[Leaf]:
    """Return the leaves of the needed columns and paths.

    Args:
        schema: the file's schema.
        columns: the columns that are needed as a whole; None for all.
        paths: the needed paths into other columns.

    Raises:
        ParquetError: the file claims values of an excessive size.
    """
    found = []
    for index in range(len(schema)):
        column = schema.column(index)
        path = column.path
        is_needed = columns is None or any(path == name or path.startswith(f"{name}.") for name in columns)
        if not is_needed and not any(leads_to(each, path) for each in paths):
            continue
        physical = column.physical_type
        is_fixed = physical == "FIXED_LEN_BYTE_ARRAY"
        width = column.length if is_fixed else _NUMBER_BYTES
        if width > MOST_PAGE_BYTES:
            msg = f"it claims values of {width >> 20:,} MB each"
            raise ParquetError(msg)
        is_uuid = column.logical_type.type == "UUID"
        repeats = column.max_repetition_level > 0
        found.append(Leaf(index, path, physical == "BYTE_ARRAY", width, repeats, is_uuid))
    return found


def leads_to(path: Path, leaf: str) -> bool:
    """Return whether a leaf may hold values of a path.

    The name of a leaf has names of its own for lists, such as `list.element`, which differ between writers.

    Args:
        path: the path.
        leaf: the leaf's name, after the names of the objects and lists that hold it.
    """
    if not leaf.startswith(f"{path.column}."):
        # The column may hold something other than objects.
        return leaf == path.column
    steps = iter(leaf[len(path.column) + 1 :].split("."))
    return all(step in steps for field in path.fields for step in field.name.split("."))


def find_row_groups(footer: Sequence[Mapping[int, Any]], leaves: Sequence[Leaf], file_size: int) -> list[RowGroup]:
    """Return the row groups that have rows.

    Args:
        footer: the row groups as `read_footer` returns them.
        leaves: the needed leaves.
        file_size: the size of the file in bytes.

    Raises:
        ParquetError: a row group does not say where a leaf lies, or gives a place outside the file.
    """
    return [
        _row_group(number, claimed, leaves, file_size) for number, claimed in enumerate(footer) if claimed.get(_ROWS)
    ]


def _row_group(number: int, claimed: Mapping[int, Any], leaves: Sequence[Leaf], file_size: int) -> RowGroup:
    chunks = []
    columns = claimed.get(_COLUMNS) or []
    for leaf in leaves:
        column = (columns[leaf.ordinal] if leaf.ordinal < len(columns) else {}).get(_METADATA, {})
        start, dictionary, size = (column.get(field, -1) for field in (_DATA_START, _DICTIONARY_START, _SIZE))
        if 0 < dictionary < start:
            start = dictionary
        if claimed[_ROWS] < 0 or start < 0 or size < 0 or start + size > file_size:
            msg = "it is truncated or damaged"
            raise ParquetError(msg)
        chunks.append(Chunk(Span(start, size), column.get(_CODEC, -1)))
    return RowGroup(number, claimed[_ROWS], chunks)


def batched(groups: Sequence[RowGroup]) -> Iterator[list[RowGroup]]:
    """Yield row groups that are read together, since many small groups would make many small pieces."""
    batch: list[RowGroup] = []
    size = 0
    for group in groups:
        size += group.size
        if batch and size > _GROUP_BYTES:
            yield batch
            batch, size = [], group.size
        batch.append(group)
    if batch:
        yield batch
