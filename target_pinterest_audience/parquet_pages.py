"""How much memory the pages of a Parquet file take, from their headers: the file's metadata may claim anything. Pure.

Arrow decodes what pages say. A page header is a Thrift struct in the compact protocol, a few dozen bytes long; of it,
only the sizes, the number of values and the encoding matter here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

MOST_PAGE_BYTES: Final = 64 << 20
"""How much a page may unpack to. Writers make pages of a megabyte, some of a few dozen."""

_HEADER_BYTES: Final = 1 << 12
_MOST_HEADER_BYTES: Final = 1 << 24
"""Headers hold the least and the greatest value of their page, of any length."""
_MOST_DEPTH: Final = 8

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 12
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_DATA_HEADER, _DICTIONARY_HEADER, _DATA_V2_HEADER = 5, 7, 8
_FIELD_OF_HEADER: Final = {_DATA: _DATA_HEADER, _DICTIONARY: _DICTIONARY_HEADER, _DATA_V2: _DATA_V2_HEADER}
_ENCODING_FIELD: Final = {_DATA: 2, _DICTIONARY: 2, _DATA_V2: 4}

PLAIN_DICTIONARY, DELTA_BYTE_ARRAY, RLE_DICTIONARY = 2, 7, 8

ReadAt = Callable[[int, int], bytes]
"""Position, how many bytes → the bytes, fewer at the end of the file."""


class PageError(Exception):
    """The pages of a file cannot be read, or are too big."""


class Page(NamedTuple):
    """What the header of a page says.

    Attributes:
        is_dictionary: whether it is the dictionary of its column, and no data.
        size: how much it unpacks to, in bytes.
        values: how many values it has, or gaps.
        encoding: how its values are encoded.
    """

    is_dictionary: bool
    size: int
    values: int
    encoding: int

    @property
    def uses_dictionary(self) -> bool:
        """Whether it only refers to the dictionary."""
        return not self.is_dictionary and self.encoding in {PLAIN_DICTIONARY, RLE_DICTIONARY}


def pages(read: ReadAt, start: int, size: int) -> Iterator[Page]:
    """Yield the dictionary and the data pages of a column in a row group.

    Args:
        read: reads the file.
        start: where the column begins.
        size: how many bytes it has.

    Raises:
        PageError: a page is too big, or what is there is no page.
    """
    at, end = start, start + size
    while at < end:
        header, length = _header(read, at, end)
        kind, unpacked, packed = header.get(1), header.get(2), header.get(3)
        if not isinstance(unpacked, int) or not isinstance(packed, int) or unpacked < 0 or packed < 0:
            msg = "it has a page without a size"
            raise PageError(msg)
        if unpacked > MOST_PAGE_BYTES:
            msg = (
                f"it has a page that unpacks to {unpacked >> 20:,} MB, and the target takes {MOST_PAGE_BYTES >> 20} MB "
                "at most; write smaller pages"
            )
            raise PageError(msg)
        at += length + packed
        if kind not in _FIELD_OF_HEADER:
            # An index, which readers skip.
            continue
        details = header.get(_FIELD_OF_HEADER[kind])
        values = details.get(1) if isinstance(details, dict) else None
        encoding = details.get(_ENCODING_FIELD[kind]) if isinstance(details, dict) else None
        if not isinstance(values, int) or not isinstance(encoding, int) or values < 0:
            msg = "it has a page without a number of values"
            raise PageError(msg)
        yield Page(kind == _DICTIONARY, unpacked, values, encoding)


def _header(read: ReadAt, at: int, end: int) -> tuple[dict[int, Any], int]:
    """Return the fields of the header at a position, and its length."""
    size = _HEADER_BYTES
    while True:
        data = read(at, min(size, end - at))
        try:
            return _struct(data, 0)
        except IndexError:
            if len(data) < size or size >= _MOST_HEADER_BYTES:
                msg = "it is cut off, or damaged"
                raise PageError(msg) from None
            size *= 16


def _struct(data: bytes, at: int, depth: int = 0) -> tuple[dict[int, Any], int]:
    """Return the fields of a struct, and where it ends. Raises IndexError if the data ends before it."""
    fields: dict[int, Any] = {}
    number = 0
    while head := data[at]:
        at += 1
        kind = head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(data, at)
        if kind in {_TRUE, _FALSE}:
            fields[number] = kind == _TRUE
        elif kind in {_I16, _I32, _I64}:
            fields[number], at = _integer(data, at)
        elif kind == _STRUCT and depth < _MOST_DEPTH:
            fields[number], at = _struct(data, at, depth + 1)
        elif kind == _BINARY:
            length, at = _varint(data, at)
            at += length
            data[at - 1]
        elif kind in {_BYTE, _DOUBLE}:
            at += 1 if kind == _BYTE else 8
        else:
            msg = "it has a page with a header that cannot be read"
            raise PageError(msg)
    return fields, at + 1


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004 - the highest bit says that more follows
            return value, at
        shift += 7
        if shift > 63:  # noqa: PLR2004 - no integer is longer
            msg = "it has a page with a header that cannot be read"
            raise PageError(msg)


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at
