"""Reads the integers in structs of Thrift's compact protocol, the format of Parquet's footers and page headers. Pure.

Arrow's own metadata objects do not cover pages, and abort the process where a damaged file contradicts itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12
_INTEGERS: Final = frozenset({_I16, _I32, _I64})
_FIXED_SIZES: Final = {_TRUE: 1, _FALSE: 1, _BYTE: 1, _DOUBLE: 8}
"""Type → its size in a list, in bytes."""
_LAST_OF_VARINT: Final = 127
"""In a larger byte the highest bit is set: more bytes follow."""
_MOST_DEPTH: Final = 16
_MOST_ITEMS: Final = 300_000
_LONG_LIST: Final = 15
"""Stands for the length of a list that has at least this many items."""

_NOTHING: Final[Mapping[int, Any]] = {}

Wanted = Mapping[int, Any]
"""Number of a wanted field → the wanted fields inside it, if it is a struct or a list of structs; None otherwise."""


class ThriftError(Exception):
    """The data is not a struct, or the struct is too big. The message is a predicate whose subject is the struct."""


def read_struct(data: bytes, at: int, wanted: Wanted) -> tuple[dict[int, Any], int]:
    """Return those wanted fields of a struct that it has, and the position after it.

    Args:
        data: the bytes that hold the struct.
        at: the position of the struct.
        wanted: which fields are wanted.

    Raises:
        IndexError: the data ends before the struct does.
        ThriftError: the data is not a struct, or has more lists and items than any file needs.
    """
    reader = _Reader(data, at)
    return reader.struct(wanted, 0), reader.at


class _Reader:
    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at
        self._items = 0

    def struct(self, wanted: Wanted, depth: int) -> dict[int, Any]:
        data, at, number = self._data, self.at, 0
        fields: dict[int, Any] = {}
        while head := data[at]:
            kind = head & 15
            self.at = at + 1
            number = number + (head >> 4) if head >> 4 else self._integer()
            if kind > _FALSE:
                if kind in _INTEGERS and number not in wanted:
                    # The most frequent case by far, so it is inlined.
                    while data[self.at] > _LAST_OF_VARINT:
                        self.at += 1
                    self.at += 1
                else:
                    value = self._value(kind, wanted.get(number), depth)
                    if number in wanted:
                        fields[number] = value
            at = self.at
        self.at = at + 1
        return fields

    def _value(self, kind: int, wanted: Wanted | None, depth: int) -> Any:  # noqa: ANN401 - whatever the field holds
        if kind in _INTEGERS:
            return self._integer()
        if kind == _BINARY:
            self._skip(self._varint())
        elif kind in _FIXED_SIZES:
            self._skip(_FIXED_SIZES[kind])
        elif depth >= _MOST_DEPTH:
            self._fail()
        elif kind == _STRUCT:
            return self.struct(wanted or _NOTHING, depth + 1)
        elif kind in {_LIST, _SET}:
            return self._list(wanted, depth + 1)
        else:
            self._fail()
        return None

    def _list(self, wanted: Wanted | None, depth: int) -> list[Any]:
        head = self._data[self.at]
        self.at += 1
        size = head >> 4
        if size == _LONG_LIST:
            size = self._varint()
        self._items += size
        if self._items > _MOST_ITEMS:
            msg = f"has more than {_MOST_ITEMS:,} columns, row groups and other parts"
            raise ThriftError(msg)
        items = [self._value(head & 15, wanted, depth) for _ in range(size)]
        return items if wanted is not None else []

    def _skip(self, size: int) -> None:
        """Skip some bytes. Raises IndexError if the data ends before them."""
        self.at += size
        if size:
            self._data[self.at - 1]

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _varint(self) -> int:
        data, value, shift = self._data, 0, 0
        while True:
            byte = data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            if byte <= _LAST_OF_VARINT:
                return value
            shift += 7
            if shift > 63:  # noqa: PLR2004 - an integer has 64 bits
                self._fail()

    def _fail(self) -> NoReturn:
        msg = "has an unreadable part"
        raise ThriftError(msg)
