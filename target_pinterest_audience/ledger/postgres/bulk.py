"""Many rows for one statement, in PostgreSQL's binary formats ("COPY" in its manual, and `array_recv`). Pure.

The driver would encode one value after the other, and hold the interpreter's lock meanwhile. Nearly all keys are
equally long, and so is nearly everything that rows say: then a few calls encode all of them.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Final

from psycopg.types.string import BytesBinaryDumper

_BYTEA: Final = 17
_BYTEA_ARRAY: Final = 1001
_INTEGER: Final = 23
_INTEGER_ARRAY: Final = 1007
"""The numbers of the types, which are the same in all servers."""
_INTEGER_BYTES: Final = 4
_SIZE: Final = struct.Struct(">i")

_COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END: Final = b"\xff\xff"
_ROWS_AT_ONCE: Final = 1_000
"""How many rows to encode before they are sent, so that the server works on them meanwhile."""


class Array(bytes):
    """An encoded array; no bytes if it has no elements."""


class ByteaArray(Array):
    """An encoded array of bytes."""


class IntegerArray(Array):
    """An encoded array of integers."""


class ByteaArrayDumper(BytesBinaryDumper):
    """Tells the server the type of a `ByteaArray`."""

    oid = _BYTEA_ARRAY


class IntegerArrayDumper(BytesBinaryDumper):
    """Tells the server the type of an `IntegerArray`."""

    oid = _INTEGER_ARRAY


def bytea_array(values: Sequence[bytes]) -> ByteaArray:
    """Encode an array of bytes."""
    return ByteaArray(_head(_BYTEA, values) + b"".join(sized(values)) if values else b"")


def integer_array(values: Sequence[int]) -> IntegerArray:
    """Encode an array of integers."""
    sizes_and_values = chain.from_iterable(zip(repeat(_INTEGER_BYTES), values, strict=False))
    encoded = struct.pack(f">{2 * len(values)}i", *sizes_and_values)
    return IntegerArray(_head(_INTEGER, values) + encoded if values else b"")


def _head(element: int, values: Sequence[object]) -> bytes:
    """Return what begins an array: one dimension, no NULL, the type, how many elements, the index of the first."""
    return struct.pack(">5i", 1, 0, element, len(values), 1)


def sized(values: Collection[bytes]) -> Iterable[bytes]:
    """Return values with their sizes before them, as in arrays and in rows that are copied."""
    sizes = set(map(len, values))
    if len(sizes) == 1:
        return map(_SIZE.pack(sizes.pop()).__add__, values)
    return (_SIZE.pack(len(value)) + value for value in values)


def integers(*values: int) -> bytes:
    """Return the integers in a row that is copied."""
    return b"".join(struct.pack(">ii", _INTEGER_BYTES, value) for value in values)


def copied(columns: int, before: bytes, rows: Sequence[bytes], after: bytes = b"") -> Iterator[bytes]:
    """Yield what `COPY ... FROM STDIN (FORMAT BINARY)` reads.

    Args:
        columns: how many columns a row has.
        before: the first columns, which are the same in all rows.
        rows: the columns in which the rows differ.
        after: the last columns, which are the same in all rows.
    """
    yield _COPY_HEAD
    head = struct.pack(">h", columns) + before
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[start : start + _ROWS_AT_ONCE]
        yield head + (after + head).join(some) + after
    yield _COPY_END
