"""The fast way into the target: of a block of lines, only the columns are decoded that a stream needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET


@dataclass(frozen=True, slots=True)
class RecordBlock:
    """Records of one stream that follow each other, decoded as far as they are needed.

    Attributes:
        rows: one object for each record.
        attributes: needed column → the attribute of the objects that holds it; `UNSET` if the record lacks it.
        line: the line of the first record in the stream; the others follow.
    """

    rows: Sequence[Any]
    attributes: Mapping[str, str]
    line: int

    def __len__(self) -> int:
        """Return how many records there are."""
        return len(self.rows)

    def column(self, name: str) -> list[Any]:
        """Return what the records hold in a column, `UNSET` where they lack it."""
        return list(map(attrgetter(self.attributes[name]), self.rows))

    def record(self, index: int) -> dict[str, Any]:
        """Return the needed columns of one record."""
        row = self.rows[index]
        values = {name: getattr(row, attribute) for name, attribute in self.attributes.items()}
        return {name: value for name, value in values.items() if value is not UNSET}

    def part(self, start: int, stop: int) -> RecordBlock:
        """Return some of the records."""
        return RecordBlock(self.rows[start:stop], self.attributes, self.line + start)


TakeBlock = Callable[[RecordBlock], None]


class _Other(msgspec.Struct, tag_field="type", tag="SCHEMA"):
    """A message that is no record. It is read from its line; here it only has to be told apart."""

    stream = None


class _State(_Other, tag="STATE"):
    pass


class _ActivateVersion(_Other, tag="ACTIVATE_VERSION"):
    pass


class _Batch(_Other, tag="BATCH"):
    pass


_OTHER: Final = _Other()
_stream_of = attrgetter("stream")


class _Need(NamedTuple):
    attributes: Mapping[str, str]
    take: TakeBlock


class RecordDecoder:
    """Decodes the records of those streams whose needed columns are known.

    Attributes:
        version: another number after each change of what is needed.
    """

    def __init__(self) -> None:
        """Begin with no stream."""
        self.version = 0
        self._attributes: dict[str, str] = {}
        self._needs: dict[str, _Need] = {}
        self._decode: Callable[[bytes], Any] | None = None

    def need(self, stream: str, columns: Sequence[str], take: TakeBlock) -> None:
        """Decode only some columns of a stream's records from now on.

        Args:
            stream: the stream's name as the tap gives it.
            columns: all columns that anything depends on.
            take: takes the decoded records in.
        """
        attributes = {name: self._attributes.setdefault(name, f"c{len(self._attributes)}") for name in columns}
        known = self._needs.get(stream)
        if known is not None and known.take == take and known.attributes == attributes:
            return
        self._needs[stream] = _Need(attributes, take)
        self._make_decoder()

    def forget(self, stream: str) -> None:
        """Leave a stream's records to be read whole."""
        if self._needs.pop(stream, None) is not None:
            self._make_decoder()

    def _make_decoder(self) -> None:
        self.version += 1
        fields = [(attribute, Any, UNSET) for attribute in self._attributes.values()]
        try:
            row = msgspec.defstruct(
                "Row", fields, rename={attribute: name for name, attribute in self._attributes.items()}, gc=False
            )
        except ValueError:
            # A column with a quote or a backslash in its name.
            self._decode = None
            return
        record = msgspec.defstruct(
            "Record", [("stream", str), ("record", row)], tag_field="type", tag="RECORD", gc=False
        )
        message = record | _Other | _State | _ActivateVersion | _Batch
        self._decode = msgspec.json.Decoder(message, float_hook=Decimal).decode

    def runs(self, lines: Sequence[bytes], first_line: int) -> Iterator[tuple[TakeBlock, RecordBlock] | int]:
        """Divide lines into records that are decoded and lines that have to be read whole.

        Args:
            lines: lines of the stream.
            first_line: the number of the first of them.

        Yields:
            In the order of the lines: a block of records and who takes it, or how many lines are to be read whole.
        """
        at = 0
        for stream, group in groupby(self._messages(lines), _stream_of):
            messages = list(group)
            need = self._needs.get(stream) if stream is not None else None
            if need is None:
                yield len(messages)
            else:
                rows = [message.record for message in messages]
                yield need.take, RecordBlock(rows, need.attributes, first_line + at)
            at += len(messages)

    def _messages(self, lines: Sequence[bytes]) -> list[Any]:
        decode = self._decode
        if decode is None or not self._needs or not _is_utf8(lines):
            return [_OTHER] * len(lines)
        messages: list[Any] = []
        for line in lines:
            try:
                messages.append(decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # noqa: PERF203 - costs only that line
                # Odd, or broken: reading it whole tells which.
                messages.append(_OTHER)
        return messages


def _is_utf8(lines: Sequence[bytes]) -> bool:
    """Tell whether all lines are UTF-8: what the decoder passes over it does not check."""
    text = b"\n".join(lines)
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
