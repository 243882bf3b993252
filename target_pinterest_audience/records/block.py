"""Blocks of records: consecutive records of one stream, whose columns are read as a whole."""

from __future__ import annotations

import io
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from target_pinterest_audience.records.column_names import plain_columns
from target_pinterest_audience.records.null_parents import NO_PARENTS, NullParents, Search
from target_pinterest_audience.records.paths import Path, value_in, values_in, with_paths
from target_pinterest_audience.records.position import Place

_may_have_marks: Final = re.compile(
    rb'"(?:\xef\xbb\xbf|\xc3\xaf\xc2\xbb\xc2\xbf|\\u[fF][eE][fF][fF]|\\u00[eE][fF])'
).search
_decode_whole: Final = msgspec.json.Decoder(float_hook=Decimal).decode


class RecordBlock(ABC):
    """Consecutive records of one stream. Only the columns that the stream needs are decoded.

    Attributes:
        first: the position of the first record.
    """

    __slots__ = ("first",)

    def __init__(self, first: Place) -> None:
        """Store the position of the first record."""
        self.first = first

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of records."""

    @abstractmethod
    def column(self, name: str) -> Sequence[Any]:
        """Return the values of a needed column or path, `UNSET` for records that lack the column."""

    @abstractmethod
    def record(self, index: int) -> dict[str, Any]:
        """Return the needed columns of one record."""

    def whole_record(self, index: int) -> Mapping[str, Any] | None:  # noqa: ARG002 - files do not have it
        """Return one record with all its columns, by their plain names; None if it is not available as a whole."""
        return None

    @abstractmethod
    def part(self, start: int, stop: int) -> RecordBlock:
        """Return a slice of the block."""

    def place(self, index: int) -> Place:
        """Return the position of one record."""
        return self.first.after(index)

    @property
    def lines(self) -> Sequence[int]:
        """The line of the stream that each record came with."""
        if self.first.file_row is None:
            return range(self.first.line, self.first.line + len(self))
        return [self.first.line] * len(self)


class RowLayout(NamedTuple):
    """Which attributes of a decoded row hold the needed columns.

    Attributes:
        attributes: column → attribute. Its value is `UNSET` if the record lacks the column.
        others: column → more attributes that may hold it, since a record may give a column another name.
        paths: the text of each needed path, and the path. The attributes of its text hold its column.
        parents: which needed columns are null in a record that lacks them.
    """

    attributes: Mapping[str, str]
    others: Mapping[str, Sequence[str]] = MappingProxyType({})
    paths: Mapping[str, Path] = MappingProxyType({})
    parents: NullParents = NO_PARENTS


class DecodedRecords(RecordBlock):
    """Records decoded from JSON, one object for each."""

    __slots__ = ("_columns", "_layout", "_lines", "_rows", "_start")

    def __init__(self, rows: Sequence[Any], layout: RowLayout, first: Place, lines: Lines, start: int) -> None:
        """Wrap decoded rows.

        Args:
            rows: one object for each record.
            layout: which attributes of these objects hold the columns.
            first: the position of the first record.
            lines: the lines from which the rows were decoded.
            start: the index of the first row's line among these lines.
        """
        super().__init__(first)
        self._rows = rows
        self._layout = layout
        self._lines = lines
        self._start = start
        self._columns: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._rows)

    def column(self, name: str) -> list[Any]:
        """Return the values of a needed column, `UNSET` for records that lack it."""
        known = self._columns.get(name)
        if known is None:
            known = list(map(attrgetter(self._layout.attributes[name]), self._rows))
            for other in self._layout.others.get(name, ()):
                known = list(map(_merged, known, map(attrgetter(other), self._rows)))
            if name in self._layout.paths:
                path = self._layout.paths[name]
                known = list(values_in(known, path.fields, is_single=path.is_single))
            self._columns[name] = known
        return known

    def record(self, index: int) -> dict[str, Any]:
        """Return the needed columns of one record."""
        row, layout = self._rows[index], self._layout
        values = {name: getattr(row, attribute) for name, attribute in layout.attributes.items()}
        for name, others in layout.others.items():
            for other in others:
                values[name] = _merged(values[name], getattr(row, other))
        for name, path in layout.paths.items():
            if values[name] is not UNSET:
                values[name] = value_in(values[name], path.fields, is_single=path.is_single)
        record = {name: value for name, value in values.items() if value is not UNSET}
        if len(record) < len(values):
            whole = layout.parents.completed(self._lines.odd_record(self._start + index, layout.parents.may_apply))
            found = with_paths(whole, layout.paths)
            record.update((name, value) for name, value in found.items() if name in values)
        return record

    def whole_record(self, index: int) -> dict[str, Any]:
        """Return one record with all its columns; an empty one if a column that is not needed is malformed."""
        try:
            return self._lines.whole_record(self._start + index)
        except (msgspec.MsgspecError, RecursionError, ArithmeticError):
            return {}

    def part(self, start: int, stop: int) -> DecodedRecords:
        """Return a slice of the block."""
        rows = self._rows[start:stop]
        return DecodedRecords(rows, self._layout, self.place(start), self._lines, self._start + start)


def _merged(value: Any, other: Any) -> Any:  # noqa: ANN401 - any JSON values
    """Return the value of a column that a record gives under two names: the first that is not null."""
    return other if value is UNSET or (value is None and other is not UNSET) else value


class Lines:
    """The lines from which a block was decoded, for records that have to be decoded again as a whole."""

    __slots__ = ("_are_messages", "_split", "_text")

    def __init__(self, text: bytes, *, are_messages: bool) -> None:
        """Store the lines.

        Args:
            text: complete lines.
            are_messages: whether the lines are Singer messages rather than bare records.
        """
        self._text = text
        self._split: list[bytes] | None = None
        self._are_messages = are_messages

    def odd_record(self, index: int, is_odd: Search) -> dict[str, Any]:
        """Return the whole record of a line if it may say more about a column that it seems to lack.

        Some of the files that a tap reads may have a byte order mark that the SCHEMA does not show; then, a name of a
        column begins with it.

        Args:
            index: the index of the line.
            is_odd: finds other reasons in the line.

        Returns:
            The record, without byte order marks in names; an empty record if the line cannot say more.
        """
        line = self._line(index)
        return self.whole_record(index) if _may_have_marks(line) or is_odd(line) else {}

    def whole_record(self, index: int) -> dict[str, Any]:
        """Return the whole record of a line, without byte order marks in its column names."""
        message = _decode_whole(self._line(index))
        return plain_columns(message["record"] if self._are_messages else message)

    def _line(self, index: int) -> bytes:
        if self._split is None:
            self._split = split_lines(self._text)
        return self._split[index]


def split_lines(text: bytes) -> list[bytes]:
    """Return the lines of a text with their newlines. The last line may have none."""
    return io.BytesIO(text).readlines()


class ColumnarRecords(RecordBlock):
    """Records from a columnar file, as one list for each column."""

    __slots__ = ("_columns", "_size")

    def __init__(self, columns: Mapping[str, Sequence[Any]], size: int, first: Place) -> None:
        """Wrap columns.

        Args:
            columns: needed column → values. Columns that the file lacks are left out.
            size: the number of records.
            first: the position of the first record.
        """
        super().__init__(first)
        self._columns = columns
        self._size = size

    def __len__(self) -> int:
        """Return the number of records."""
        return self._size

    def column(self, name: str) -> Sequence[Any]:
        """Return the values of a needed column, `UNSET` for each record if the file lacks it."""
        found = self._columns.get(name)
        return found if found is not None else [UNSET] * self._size

    def record(self, index: int) -> dict[str, Any]:
        """Return the needed columns of one record."""
        values = {name: values[index] for name, values in self._columns.items()}
        return {name: value for name, value in values.items() if value is not UNSET}

    def part(self, start: int, stop: int) -> ColumnarRecords:
        """Return a slice of the block."""
        columns = {name: values[start:stop] for name, values in self._columns.items()}
        return ColumnarRecords(columns, stop - start, self.place(start))
