"""How much memory the pages of a Parquet file take, from their headers: the file's metadata may claim anything. Pure.

Arrow decodes what pages say. Of their headers, only the sizes, the number of values and the encoding matter here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from target_pinterest_audience.records.compact_thrift import ThriftError, read_struct

MOST_PAGE_BYTES: Final = 64 << 20
"""How much a page may unpack to. Writers make pages of a megabyte, some of a few dozen."""

_HEADER_BYTES: Final = 1 << 12
_MOST_HEADER_BYTES: Final = 1 << 24
"""Headers hold the least and the greatest value of their page, of any length."""

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
        at: where what is behind the header begins.
        packed: how long that is.
    """

    is_dictionary: bool
    size: int
    values: int
    encoding: int
    at: int
    packed: int

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
        kind, unpacked, packed = header.get(_TYPE), header.get(_UNPACKED), header.get(_PACKED)
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
        values = details.get(_VALUES) if isinstance(details, dict) else None
        encoding = details.get(_ENCODING_FIELD[kind]) if isinstance(details, dict) else None
        if not isinstance(values, int) or not isinstance(encoding, int) or values < 0:
            msg = "it has a page without a number of values"
            raise PageError(msg)
        yield Page(kind == _DICTIONARY, unpacked, values, encoding, at - packed, packed)


def longest_text(data: bytes, values: int) -> int:
    """Return how long the longest of some texts is, each of which follows its length.

    Raises:
        PageError: they are longer than what is there.
    """
    length_at, end = _LENGTH.unpack_from, len(data)
    longest = at = 0
    try:
        for _ in range(values):
            (length,) = length_at(data, at)
            at += 4 + length
            if length > longest:  # noqa: PLR1730 - a call for each would take half as long again
                longest = length
    except struct.error:
        at = end + 1
    if at > end:
        msg = "it has a dictionary that is damaged"
        raise PageError(msg)
    return longest


def _header(read: ReadAt, at: int, end: int) -> tuple[dict[int, Any], int]:
    """Return the fields of the header at a position, and its length."""
    size = _HEADER_BYTES
    while True:
        data = read(at, min(size, end - at))
        try:
            return read_struct(data, 0, _WANTED)
        except ThriftError as error:
            msg = f"the header of a page {error}"
            raise PageError(msg) from None
        except IndexError:
            if len(data) < size or size >= _MOST_HEADER_BYTES:
                msg = "it is cut off, or damaged"
                raise PageError(msg) from None
            size *= 16
