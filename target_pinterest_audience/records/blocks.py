"""The fast way into the target: of a block of lines, only the columns are decoded that a stream needs."""

from __future__ import annotations

import codecs
import contextlib
import io
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET

from target_pinterest_audience.records.column_names import plain_columns
from target_pinterest_audience.records.position import Place


class RecordBlock(ABC):
    """Records of one stream that follow each other, decoded as far as they are needed.

    Attributes:
        first: where the first of them stands; the others follow.
    """

    __slots__ = ("first",)

    def __init__(self, first: Place) -> None:
        """Note where the first record stands."""
        self.first = first

    @abstractmethod
    def __len__(self) -> int:
        """Return how many records there are."""

    @abstractmethod
    def column(self, name: str) -> Sequence[Any]:
        """Return what the records hold in a needed column, `UNSET` where they lack it."""

    @abstractmethod
    def record(self, index: int) -> dict[str, Any]:
        """Return the needed columns of one record."""

    @abstractmethod
    def part(self, start: int, stop: int) -> RecordBlock:
        """Return some of the records."""

    def place(self, index: int) -> Place:
        """Return where a record stands."""
        return self.first.after(index)

    @property
    def lines(self) -> Sequence[int]:
        """The line of each in the stream."""
        if self.first.file_row is None:
            return range(self.first.line, self.first.line + len(self))
        return [self.first.line] * len(self)


class DecodedRecords(RecordBlock):
    """Records as JSON gives them: an object for each."""

    __slots__ = ("_columns", "_lines", "_need", "_rows", "_start")

    def __init__(self, rows: Sequence[Any], need: Need, first: Place, lines: Lines, start: int) -> None:
        """Take them in.

        Args:
            rows: one object for each record.
            need: which attributes of the objects hold the needed columns; `UNSET` if the record lacks it.
            first: where the first stands.
            lines: the lines that they were decoded from.
            start: which of the lines is that of the first.
        """
        super().__init__(first)
        self._rows = rows
        self._need = need
        self._lines = lines
        self._start = start
        self._columns: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        """See `RecordBlock`."""
        return len(self._rows)

    def column(self, name: str) -> list[Any]:
        """See `RecordBlock.column`."""
        known = self._columns.get(name)
        if known is None:
            known = list(map(attrgetter(self._need.attributes[name]), self._rows))
            for other in self._need.others.get(name, ()):
                known = list(map(_given, known, map(attrgetter(other), self._rows)))
            self._columns[name] = known
        return known

    def record(self, index: int) -> dict[str, Any]:
        """See `RecordBlock.record`."""
        row, need = self._rows[index], self._need
        values = {name: getattr(row, attribute) for name, attribute in need.attributes.items()}
        for name, others in need.others.items():
            for other in others:
                values[name] = _given(values[name], getattr(row, other))
        record = {name: value for name, value in values.items() if value is not UNSET}
        if len(record) < len(values):
            # A file with a byte order mark may come among others without it.
            marked = self._lines.marked_record(self._start + index)
            record.update((name, value) for name, value in marked.items() if name in values)
        return record

    def part(self, start: int, stop: int) -> DecodedRecords:
        """See `RecordBlock.part`."""
        return DecodedRecords(self._rows[start:stop], self._need, self.place(start), self._lines, self._start + start)


def _given(value: Any, other: Any) -> Any:  # noqa: ANN401 - any JSON values
    """Return what a column holds that stands in a record under two names."""
    return other if value is UNSET or (value is None and other is not UNSET) else value


class Lines:
    """The lines that a block of records was decoded from, for those that need a second look."""

    __slots__ = ("_are_messages", "_split", "_text")

    def __init__(self, text: bytes, *, are_messages: bool) -> None:
        """Keep a text.

        Args:
            text: whole lines.
            are_messages: whether they are Singer messages; else they are records.
        """
        self._text = text
        self._split: list[bytes] | None = None
        self._are_messages = are_messages

    def marked_record(self, index: int) -> dict[str, Any]:
        """Return the whole record on a line in which column names may begin with a byte order mark; else nothing."""
        if self._split is None:
            self._split = split_lines(self._text)
        line = self._split[index]
        if not _may_have_marks(line):
            return {}
        message = _decode_whole(line)
        return plain_columns(message["record"] if self._are_messages else message)


_may_have_marks: Final = re.compile(
    rb'"(?:\xef\xbb\xbf|\xc3\xaf\xc2\xbb\xc2\xbf|\\u[fF][eE][fF][fF]|\\u00[eE][fF])'
).search
_decode_whole: Final = msgspec.json.Decoder(float_hook=Decimal).decode


class ColumnarRecords(RecordBlock):
    """Records as a columnar file gives them: a list for each column."""

    __slots__ = ("_columns", "_size")

    def __init__(self, columns: Mapping[str, Sequence[Any]], size: int, first: Place) -> None:
        """Take them in.

        Args:
            columns: needed column → its values; those that the file lacks are not there.
            size: how many records there are.
            first: where the first stands.
        """
        super().__init__(first)
        self._columns = columns
        self._size = size

    def __len__(self) -> int:
        """See `RecordBlock`."""
        return self._size

    def column(self, name: str) -> Sequence[Any]:
        """See `RecordBlock.column`."""
        found = self._columns.get(name)
        return found if found is not None else [UNSET] * self._size

    def record(self, index: int) -> dict[str, Any]:
        """See `RecordBlock.record`."""
        return {name: values[index] for name, values in self._columns.items()}

    def part(self, start: int, stop: int) -> ColumnarRecords:
        """See `RecordBlock.part`."""
        columns = {name: values[start:stop] for name, values in self._columns.items()}
        return ColumnarRecords(columns, stop - start, self.place(start))


TakeBlock = Callable[[RecordBlock], None]

Run = tuple[TakeBlock, RecordBlock] | list[bytes]
"""Lines that follow each other: a block of records and who takes it, or lines that are to be read whole."""


class _Other(msgspec.Struct, tag_field="type", tag="SCHEMA"):
    """A message that is no record. It is read from its line; here it only has to be told apart."""

    stream = None


class _State(_Other, tag="STATE"):
    pass


class _ActivateVersion(_Other, tag="ACTIVATE_VERSION"):
    pass


class _Batch(_Other, tag="BATCH"):
    pass


Decode = Callable[[bytes], Any]

_MOST_DECODERS: Final = 16
_PIECE_BYTES: Final = 1 << 16
"""How much is looked at at once, to see whether it is UTF-8."""

_OTHER: Final = _Other()
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError)
_stream_of = attrgetter("stream")
_record_of = attrgetter("record")


class Need(NamedTuple):
    """What a stream needs of its records.

    Attributes:
        attributes: needed column → the attribute of decoded records that holds it.
        take: takes the records in.
        others: needed column → further attributes that may hold it, since records may have it under other names.
    """

    attributes: Mapping[str, str]
    take: TakeBlock
    others: Mapping[str, Sequence[str]] = MappingProxyType({})

    def decodes_like(self, other: Need) -> bool:
        """Return whether decoded records hold the same for another need."""
        return self.attributes == other.attributes and self.others == other.others


class RecordDecoder:
    """Decodes the records of those streams whose needed columns are known.

    Attributes:
        version: another number after each change of what is needed.
    """

    def __init__(self) -> None:
        """Begin with no stream."""
        self.version = 0
        self._attributes: dict[str, str] = {}
        self._needs: dict[str, Need | None] = {}
        """Stream → what it needs of its records; None if they are to be read whole."""
        self._decode: Decode | None = None
        self._decode_row: Decode | None = None
        self._decoders: dict[Any, tuple[Decode | None, Decode | None]] = {}
        """What decodes messages and records, for the needs that came lately, since a tap may alternate between them."""

    def need(
        self,
        stream: str,
        columns: Sequence[str],
        take: TakeBlock,
        written: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        """Decode only some columns of a stream's records from now on.

        Args:
            stream: the stream's name as the tap gives it.
            columns: all columns that anything depends on.
            take: takes the decoded records in.
            written: column → the other names that records may give it.
        """
        attributes = {name: self._attribute(name) for name in columns}
        others = {name: list(map(self._attribute, written[name])) for name in columns if name in written}
        self._set(stream, Need(attributes, take, others))

    def _attribute(self, name: str) -> str:
        return self._attributes.setdefault(name, f"c{len(self._attributes)}")

    def needed(self, stream: str) -> Need | None:
        """Return what a stream needs of its records; None if they are to be read whole."""
        return self._needs.get(stream)

    def forget(self, stream: str) -> None:
        """Leave a stream's records to be read whole."""
        self._set(stream, None)

    def _set(self, stream: str, need: Need | None) -> None:
        if stream in self._needs and self._needs[stream] == need:
            return
        before = self._needs.get(stream)
        self._needs[stream] = need
        if before is not None and need is not None and before.decodes_like(need):
            # Only who takes the records is another.
            return
        self.version += 1
        key = tuple((name, each is not None) for name, each in self._needs.items()), len(self._attributes)
        if key not in self._decoders:
            while len(self._decoders) >= _MOST_DECODERS:
                del self._decoders[next(iter(self._decoders))]
            self._decoders[key] = self._make_decoders()
        self._decode, self._decode_row = self._decoders[key]

    def _make_decoders(self) -> tuple[Decode | None, Decode | None]:
        """Return what decodes messages and records; None where all is read whole."""
        if not any(self._needs.values()):
            return None, None
        fields = [(attribute, Any, UNSET) for attribute in self._attributes.values()]
        rename = {attribute: name for name, attribute in self._attributes.items()}
        # A column with a quote or a backslash in its name, or half a character in any name: all is read whole.
        with contextlib.suppress(ValueError):
            row = msgspec.defstruct("Row", fields, rename=rename, gc=False)
            # One object for each name, not one for each record.
            stream = Literal[tuple(self._needs)]  # type: ignore[valid-type]
            record = msgspec.defstruct(
                "Record", [("stream", stream), ("record", row)], tag_field="type", tag="RECORD", gc=False
            )
            message = record | _Other | _State | _ActivateVersion | _Batch
            return (
                msgspec.json.Decoder(message, float_hook=Decimal).decode,
                msgspec.json.Decoder(row, float_hook=Decimal).decode,
            )
        return None, None

    def runs(self, text: bytes, first: Place) -> Iterator[Run]:
        """Divide lines into records that are decoded and lines that have to be read whole.

        Args:
            text: whole lines of the stream.
            first: where the first of them stands.

        Yields:
            In the order of the lines: a block of records and who takes it, or lines that are to be read whole.
        """
        messages = _decode_each(text, self._decode)
        texts: list[bytes] = []
        lines = Lines(text, are_messages=True)
        for at, group in _alike(messages, _stream_of):
            stream = group[0].stream
            need = self._needs.get(stream) if stream is not None else None
            if need is None:
                # Once: a tap may write a STATE after each row.
                texts = texts or split_lines(text)
                yield texts[at : at + len(group)]
            else:
                yield need.take, DecodedRecords(list(map(_record_of, group)), need, first.after(at), lines, at)

    def rows(self, stream: str, text: bytes, first: Place) -> Iterator[Run]:
        """Divide lines that are the records of a stream themselves; see `runs`."""
        texts: list[bytes] = []
        need, lines = self._needs.get(stream), Lines(text, are_messages=False)
        for at, group in _alike(_decode_each(text, self._decode_row if need is not None else None), type):
            if need is None or group[0] is _OTHER:
                texts = texts or split_lines(text)
                yield texts[at : at + len(group)]
            else:
                yield need.take, DecodedRecords(group, need, first.after(at), lines, at)


def split_lines(text: bytes) -> list[bytes]:
    """Return the lines of a text, each with its newline if it has one."""
    return io.BytesIO(text).readlines()


def _alike(messages: list[Any], kind: Callable[[Any], Any]) -> Iterator[tuple[int, list[Any]]]:
    """Yield messages of one kind that follow each other, and the place of the first."""
    kinds = list(map(kind, messages))
    if kinds.count(kinds[0]) == len(kinds):
        yield 0, messages
        return
    start = 0
    for _, group in groupby(kinds):
        stop = start + sum(1 for _ in group)
        yield start, messages[start:stop]
        start = stop


def _decode_each(text: bytes, decode: Callable[[bytes], Any] | None) -> list[Any]:
    """Return what lines hold, `_OTHER` where they have to be read whole."""
    if decode is not None and _is_utf8(text):
        try:
            # Line by line, so that each is gone from the processor's caches no sooner than it is decoded.
            return list(map(decode, io.BytesIO(text)))
        except _UNREADABLE:
            return [_decode_one(line, decode) for line in split_lines(text)]
    return [_OTHER] * len(split_lines(text))


def _decode_one(line: bytes, decode: Callable[[bytes], Any]) -> Any:  # noqa: ANN401 - a struct made for the streams
    try:
        return decode(line)
    except _UNREADABLE:
        # Odd, or broken: reading it whole tells which.
        return _OTHER


def _is_utf8(text: bytes) -> bool:
    """Tell whether a text is UTF-8: what the decoder passes over it does not check."""
    if text.isascii():
        return True
    at, size = 0, len(text)
    try:
        with memoryview(text) as view:
            # Piece by piece: what is thrown away then stays small, and comes from memory that is warm.
            while at < size:
                _, read = codecs.utf_8_decode(view[at : at + _PIECE_BYTES], "strict", at + _PIECE_BYTES >= size)
                at += read
    except UnicodeDecodeError:
        return False
    return True
