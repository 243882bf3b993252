"""The headers of Parquet pages: their sizes, numbers of values and encodings. Pure.

Only the headers show how much memory the pages take, since the file's metadata may claim anything.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from target_pinterest_audience.records.parquet.errors import ParquetError
from target_pinterest_audience.records.parquet.thrift import ThriftError, read_struct

MOST_PAGE_BYTES: Final = 64 << 20
"""The largest unpacked size of a page. Most writers make pages of one megabyte, some of a few dozen."""

_HEADER_BYTES: Final = 1 << 12
_MOST_HEADER_BYTES: Final = 1 << 24
"""A header holds the smallest and the largest value of its page, which can be of any length."""

_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
"""The types of pages that hold values."""
_TYPE, _UNPACKED, _PACKED = 1, 2, 3
_FIELD_OF_HEADER: Final = {_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}
_VALUES: Final = 1
_ENCODING_FIELD: Final = {_DATA: 2, _DICTIONARY: 2, _DATA_V2: 4}
_DETAILS: Final = {field: {_VALUES: None, _ENCODING_FIELD[kind]: None} for kind, field in _FIELD_OF_HEADER.items()}
_WANTED: Final = {_TYPE: None, _UNPACKED: None, _PACKED: None} | _DETAILS

_LENGTH: Final = struct.Struct("<I")

PLAIN_DICTIONARY, DELTA_BYTE_ARRAY, RLE_DICTIONARY = 2, 7, 8

ReadAt = Callable[[int, int], bytes]
"""Position and number of bytes → the bytes; fewer at the end of the file."""


class Page(NamedTuple):
    """The header of a page.

    Attributes:
        is_dictionary: whether the page is the dictionary of its column rather than data.
        size: its unpacked size in bytes.
        values: the number of its values, nulls included.
        encoding: the number of its encoding.
        at: the position after the header.
        packed: its size in the file in bytes, without the header.
    """

    is_dictionary: bool
    size: int
    values: int
    encoding: int
    at: int
    packed: int

    @property
    def uses_dictionary(self) -> bool:
        """Whether the values are indices into the dictionary."""
        return not self.is_dictionary and self.encoding in {PLAIN_DICTIONARY, RLE_DICTIONARY}


def pages(read: ReadAt, start: int, size: int) -> Iterator[Page]:
    """Yield the dictionary and the data pages of a column in a row group.

    Args:
        read: reads the file.
        start: where the column begins.
        size: how many bytes it has.

    Raises:
        ParquetError: a page is too big, or what is there is no page.
    """
    at, end = start, start + size
    while at < end:
        header, length = _header(read, at, end)
        kind, unpacked, packed = header.get(_TYPE), header.get(_UNPACKED), header.get(_PACKED)
        if not isinstance(unpacked, int) or not isinstance(packed, int) or unpacked < 0 or packed < 0:
            msg = "it has a page without a size"
            raise ParquetError(msg)
        if unpacked > MOST_PAGE_BYTES:
            msg = (
                f"it has a page that unpacks to {unpacked >> 20:,} MB, and the limit is {MOST_PAGE_BYTES >> 20} MB. "
                "Write smaller pages"
            )
            raise ParquetError(msg)
        at += length + packed
        if kind not in _FIELD_OF_HEADER:
            # An index page, which readers skip.
            continue
        details = header.get(_FIELD_OF_HEADER[kind])
        values = details.get(_VALUES) if isinstance(details, dict) else None
        encoding = details.get(_ENCODING_FIELD[kind]) if isinstance(details, dict) else None
        if not isinstance(values, int) or not isinstance(encoding, int) or values < 0:
            msg = "it has a page without a number of values"
            raise ParquetError(msg)
        yield Page(kind == _DICTIONARY, unpacked, values, encoding, at - packed, packed)


def longest_text(data: bytes, values: int) -> int:
    """Return the length of the longest text in a dictionary page, in which each text follows its length.

    Raises:
        ParquetError: the texts are longer than the page.
    """
    length_at, end = _LENGTH.unpack_from, len(data)
    longest = at = 0
    try:
        for _ in range(values):
            (length,) = length_at(data, at)
            at += 4 + length
            if length > longest:  # noqa: PLR1730 - calling `max` for each text takes half as long again
                longest = length
    except struct.error:
        at = end + 1
    if at > end:
        msg = "it has a damaged dictionary"
        raise ParquetError(msg)
    return longest


def _header(read: ReadAt, at: int, end: int) -> tuple[dict[int, Any], int]:
    """Return the fields of the header at a position, and its length.

    Raises:
        ParquetError: the header is damaged or truncated.
    """
    size = _HEADER_BYTES
    while True:
        data = read(at, min(size, end - at))
        try:
            return read_struct(data, 0, _WANTED)
        except ThriftError as error:
            msg = f"a page header {error}"
            raise ParquetError(msg) from None
        except IndexError:
            if len(data) < size or size >= _MOST_HEADER_BYTES:
                msg = "it is truncated or damaged"
                raise ParquetError(msg) from None
            size *= 16
