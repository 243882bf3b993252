"""Reads a Parquet file in pieces that fit into memory, whatever the file claims."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, Final

from msgspec import UNSET

from target_pinterest_audience.records.arrow_column import values_inside, values_of
from target_pinterest_audience.records.column_names import plain_columns
from target_pinterest_audience.records.null_parents import NO_PARENTS, NullParents, is_nothing
from target_pinterest_audience.records.parquet.cached_file import CachedFile
from target_pinterest_audience.records.parquet.footer import (
    batched,
    find_leaves,
    find_row_groups,
    leads_to,
    read_footer,
)
from target_pinterest_audience.records.parquet.memory import (
    DICTIONARY_TYPES,
    PIECE_BYTES,
    PIECE_ROWS,
    measure_leaf,
    rows_at_once,
)
from target_pinterest_audience.records.paths import Path

if TYPE_CHECKING:
    import pyarrow as pa

Table = tuple[Mapping[str, Sequence[Any]], int]
"""Column → values, and the number of rows."""

_CACHED_BYTES: Final = 1 << 28
"""If a row group has larger needed columns, the file is read bit by bit instead of a row group at a time."""
_STREAM_BUFFER: Final = 1 << 20


def read_tables(
    file: IO[bytes],
    columns: Sequence[str] | None,
    paths: Mapping[str, Path] = MappingProxyType({}),
    parents: NullParents = NO_PARENTS,
) -> Iterator[Table]:
    """Yield the rows of a Parquet file, some thousand at a time.

    Args:
        file: the file, which must be seekable.
        columns: the needed columns, and the texts of the needed paths; None for all columns. Columns that the file
            lacks are left out.
        paths: the text of each needed path, and the path.
        parents: which needed columns are null in a row that lacks them.

    Raises:
        ParquetError: the file is damaged, or has rows or pages that are too big.
        Exception: Arrow cannot read the file; it raises errors of many types.
    """
    from pyarrow import parquet  # noqa: PLC0415 - heavy, and only needed for such files

    cached = CachedFile(file)
    footer = read_footer(cached)
    metadata = parquet.read_metadata(cached)
    lacking: dict[str, list[str]] = {}
    if columns is not None:
        there = plain_columns({name: name for name in metadata.schema.to_arrow_schema().names})
        lacking = _lacking(columns, paths, parents, there)
        wanted = [*(name for name in columns if name not in paths), *chain.from_iterable(lacking.values())]
        columns = [there[name] for name in dict.fromkeys(wanted) if name in there]
        paths = {text: each._replace(column=there[each.column]) for text, each in paths.items() if each.column in there}
    leaves = find_leaves(metadata.schema, columns, paths.values())
    groups = find_row_groups(footer, leaves, cached.size)
    is_large = any(group.size > _CACHED_BYTES for group in groups)
    options = {"coerce_int96_timestamp_unit": "us", "buffer_size": _STREAM_BUFFER if is_large else 0}
    opened = parquet.ParquetFile(cached, metadata=metadata, **options)
    uuids = {leaf.path for leaf in leaves if leaf.is_uuid}
    types = {field.name: str(field.type) for field in opened.schema_arrow if columns is None or field.name in columns}
    inner = [leaf.path for leaf in leaves if any(leads_to(path, leaf.path) for path in paths.values())]
    inner = [name for name in inner if not any(name == each or name.startswith(f"{each}.") for each in types)]
    names = [*types, *inner]
    readers = {frozenset[str](): opened}
    for batch in batched(groups):
        if not names:
            # Arrow would make the pieces of all rows at once.
            yield from _empty_tables(sum(group.rows for group in batch), paths)
            continue
        if not is_large:
            cached.cache([chunk.span for group in batch for chunk in group.chunks])
        memory = [measure_leaf(cached, batch, index, leaf, types) for index, leaf in enumerate(leaves)]
        rows = rows_at_once(memory)
        compact = frozenset(each.leaf.path for each in memory if each.is_compact)
        if compact not in readers:
            readers[compact] = parquet.ParquetFile(cached, metadata=metadata, read_dictionary=compact, **options)
        pieces = readers[compact].iter_batches(rows, [group.number for group in batch], names)
        for piece in _divided(pieces if rows == PIECE_ROWS else _gathered(pieces)):
            arrays = dict(zip(piece.schema.names, piece.columns, strict=True))
            found = {name: values_of(each, is_uuid=name in uuids) for name, each in arrays.items() if name in types}
            plain = plain_columns(found)
            nulls = {text: _nulls([plain[each] for each in own]) for text, own in lacking.items()}
            yield {**plain, **_inside(arrays, paths, piece.num_rows), **nulls}, piece.num_rows


def _lacking(
    columns: Sequence[str], paths: Mapping[str, Path], parents: NullParents, there: Collection[str]
) -> dict[str, list[str]]:
    """Return those needed columns and paths that a file lacks and may be null, each with its parents in the file."""
    found: dict[str, list[str]] = {}
    for text in columns:
        holder = paths[text].column if text in paths else text
        own = [name for name, children in parents.children.items() if holder in children and name in there]
        if own and holder not in there:
            found[text] = own
    return found


def _nulls(parents: Sequence[Sequence[Any]]) -> list[Any]:
    """Return null for each row in which a parent is null, and `UNSET` for the others."""
    return [None if any(map(is_nothing, values)) else UNSET for values in zip(*parents, strict=True)]


def _empty_tables(rows: int, paths: Mapping[str, Path]) -> Iterator[Table]:
    """Yield tables with some rows, no column, and nulls at the end of each path."""
    for start in range(0, rows, PIECE_ROWS):
        size = min(PIECE_ROWS, rows - start)
        yield _inside({}, paths, size), size


def _inside(arrays: Mapping[str, pa.Array], paths: Mapping[str, Path], rows: int) -> dict[str, Sequence[Any]]:
    """Return the values at the end of each path; nulls if the file has the column, and not this field of it."""
    return {
        text: values_inside(arrays[column], fields, is_single=is_single) if column in arrays else [None] * rows
        for text, (column, fields, is_single) in paths.items()
    }


def _divided(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches with so few rows that the texts that their dictionaries stand for fit into memory."""
    import pyarrow as pa  # noqa: PLC0415 - imported already, or there would be no batch
    from pyarrow import compute  # noqa: PLC0415 - imported already, or there would be no batch

    for batch in batches:
        each = 0
        for array in batch.columns:
            if isinstance(array, pa.DictionaryArray) and str(array.dictionary.type) in DICTIONARY_TYPES:
                each += compute.max(compute.binary_length(array.dictionary)).as_py() or 0
        rows = max(1, min(batch.num_rows, PIECE_BYTES // max(1, each)))
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches of some thousand rows, joined from smaller ones unless these are large."""
    import pyarrow as pa  # noqa: PLC0415 - imported already, or there would be no batch

    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= PIECE_ROWS or sum(each.nbytes for each in waiting) >= PIECE_BYTES:
            yield from pa.Table.from_batches(waiting).combine_chunks().to_batches()
            waiting = []
    if waiting:
        yield from pa.Table.from_batches(waiting).combine_chunks().to_batches()
