"""Many rows for one statement, in PostgreSQL's binary formats ("COPY" in its manual, and `array_recv`). Pure.

The driver would encode one value after the other, and hold the interpreter's lock meanwhile. Nearly all keys are
equally long, and so is nearly everything that rows say: then a few calls encode all of them.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from typing import Final

from psycopg.types.string import BytesBinaryDumper

_BYTEA: Final = 17
_BYTEA_ARRAY: Final = 1001
_INTEGER: Final = 23
_INTEGER_ARRAY: Final = 1007
"""The numbers of the types, which are the same in all servers."""
_INTEGER_BYTES: Final = 4

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
    if not values:
        return ByteaArray()
    size = _common_size(values)
    encoded = b"".join(_sized(values)) if size is None else size + size.join(values)
    return ByteaArray(_head(_BYTEA, len(values)) + encoded)


def integer_array(values: Sequence[int]) -> IntegerArray:
    """Encode an array of integers."""
    if not values:
        return IntegerArray()
    sizes_and_values = chain.from_iterable(zip(repeat(_INTEGER_BYTES), values, strict=False))
    encoded = struct.pack(f">{2 * len(values)}i", *sizes_and_values)
    return IntegerArray(_head(_INTEGER, len(values)) + encoded)


def _head(element: int, length: int) -> bytes:
    """Return what begins an array: one dimension, no NULL, the type, how many elements, the index of the first."""
    return struct.pack(">5i", 1, 0, element, length, 1)


def _common_size(values: Collection[bytes]) -> bytes | None:
    """Return the encoded size of values; None if their sizes differ."""
    sizes = set(map(len, values))
    return _size(sizes.pop()) if len(sizes) == 1 else None


def _sized(values: Iterable[bytes]) -> Iterator[bytes]:
    """Yield values with their sizes before them."""
    return (_size(len(value)) + value for value in values)


def _size(size: int) -> bytes:
    return size.to_bytes(_INTEGER_BYTES, "big")


def integers(*values: int) -> bytes:
    """Return the integers in a row that is copied."""
    return b"".join(struct.pack(">ii", _INTEGER_BYTES, value) for value in values)


def copied(same: bytes, keys: Sequence[bytes], values: Sequence[bytes], *, columns: int) -> Iterator[bytes]:
    """Yield what `COPY ... FROM STDIN (FORMAT BINARY)` reads.

    Args:
        same: the first columns, which are the same in all rows; see `integers`.
        keys: the last column but one.
        values: the last column.
        columns: how many columns there are together.
    """
    head = struct.pack(">h", columns) + same
    key_size, value_size = _common_size(keys), _common_size(values)
    if key_size is None or value_size is None:
        rows = map(bytes.__add__, _sized(keys), _sized(values))
    else:
        head += key_size
        rows = map(value_size.join, zip(keys, values, strict=True))
    yield _COPY_HEAD
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        yield head + head.join(some)
    yield _COPY_END
