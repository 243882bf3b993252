"""Reads Singer messages, and the files that BATCH messages name."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, time
from decimal import Decimal
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import msgspec
from singer_sdk.singerlib.encoding import GenericSingerReader, SingerMessageType

from target_pinterest_audience.errors import StreamError
from target_pinterest_audience.records.batch_files import BatchFiles
from target_pinterest_audience.records.block import ColumnarRecords, RecordBlock, split_lines
from target_pinterest_audience.records.decoder import Need, RecordDecoder, TakeBlock
from target_pinterest_audience.records.input_lines import TICK_SECONDS, blocks_of
from target_pinterest_audience.records.long_lines import LineError
from target_pinterest_audience.records.position import Place
from target_pinterest_audience.records.read_ahead import ReadAhead
from target_pinterest_audience.singer.errors import AT_FAULT

if TYPE_CHECKING:
    from target_pinterest_audience.records.parquet.reader import Table

T = TypeVar("T")

_PIECES_AHEAD: Final = 2
"""The largest number of pieces of files to read ahead. A piece may hold a single value of many megabytes."""
_CHANGES_IN_A_BLOCK: Final = 8
"""How often a SCHEMA inside a block may change the decoding of its rest; after that, lines are decoded one by one."""

Callbacks = dict[str, Callable[[dict[str, Any]], None]]

# Decimals keep every digit of the numbers in a record or a STATE.
_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode


class MessageReader(GenericSingerReader[bytes]):
    """Reads Singer messages. Errors never show a line's text, as the errors of the SDK's own reader do.

    Attributes:
        place: the position that is being read.
        records: decodes the streams whose records are read in blocks.
    """

    def __init__(self, tick: Callable[[], None]) -> None:
        """Prepare to read.

        Args:
            tick: called after every block of lines, and twice a second while the input is silent.
        """
        super().__init__()
        self._tick = tick
        self.place = Place(0)
        self.records = RecordDecoder()
        self._callbacks: Callbacks = {}
        self._counts: Counter[str] = Counter()
        self._skipped_files = False

    @property
    def nothing_came(self) -> bool:
        """Whether the input had neither a row nor a STATE so far."""
        return not (
            self._counts[SingerMessageType.RECORD] or self._counts[SingerMessageType.STATE] or self._skipped_files
        )

    @property
    def line(self) -> int:
        """The line that is being read, from 1."""
        return self.place.line

    @property
    def default_input(self) -> IO[bytes]:
        """Standard input, in bytes.

        Raises:
            StreamError: standard input is closed.
        """
        if sys.stdin is None:
            msg = "Standard input is closed. Pipe a tap into the target."
            raise StreamError(msg)
        return sys.stdin.buffer

    def process_lines(self, file_input: IO[Any] | None, callbacks: Callbacks) -> Counter[str]:
        """Read messages until the input ends.

        Args:
            file_input: the input, in text or bytes; None for standard input.
            callbacks: message type → the function that takes such messages.

        Returns:
            The number of messages of each type.

        Raises:
            StreamError: a line is not a Singer message.
        """
        counts = self._counts = Counter()
        self._callbacks = callbacks
        for text in self._blocks(file_input if file_input is not None else self.default_input):
            if text is not None:
                self._process_text(text)
            self._tick()
        return counts

    def read_files(self, stream: str, files: BatchFiles) -> None:
        """Read the files of a BATCH message, as if their rows were RECORDs in place of the message.

        Args:
            stream: the stream that the message names.
            files: the files.

        Raises:
            TargetError: a file cannot be read, or its rows cannot be delivered.
        """
        message = self.place
        self.place = Place(message.line, 0)
        need = self.records.needed(stream)
        pieces = files.pieces(need.columns, need.paths, need.parents) if need is not None else files.pieces(None)
        self._read_ahead(pieces, partial(self._read_piece, stream, need))
        self.place = message

    def skip_files(self) -> None:
        """Skip the files of a BATCH message. They count as rows, so that the input is not taken for empty."""
        self._skipped_files = True

    def _read_ahead(self, items: Iterator[T], take: Callable[[T], None]) -> None:
        """Take items while a thread reads the next ones."""
        with ReadAhead(items, _PIECES_AHEAD, "file-reader") as ahead:
            while not ahead.ended:
                item = ahead.get(TICK_SECONDS)
                if item is not None:
                    take(item)
                    item = None
                self._tick()

    def _read_piece(self, stream: str, need: Need | None, piece: bytes | Table) -> None:
        if isinstance(piece, bytes):
            self._read_rows(stream, piece)
        else:
            self._read_table(stream, need, piece)

    def _read_rows(self, stream: str, text: bytes) -> None:
        for run in self.records.rows(stream, text, self.place.after(1)):
            if isinstance(run, list):
                for line in run:
                    self.place = self.place.after(1)
                    if line.strip():
                        self._take_record(stream, self.deserialize_json(line))
            else:
                self._take_block(*run)

    def _read_table(self, stream: str, need: Need | None, table: Table) -> None:
        columns, size = table
        if need is not None:
            self._take_block(need.take, ColumnarRecords(columns, size, self.place.after(1)))
            return
        for row in zip(*columns.values(), strict=True):
            self.place = self.place.after(1)
            self._take_record(stream, {name: _as_in_json(value) for name, value in zip(columns, row, strict=True)})

    def _take_block(self, take: TakeBlock, block: RecordBlock) -> int:
        """Pass on a block of records, and return its size."""
        take(block)
        self.place = self.place.after(len(block))
        self._counts[SingerMessageType.RECORD] += len(block)
        return len(block)

    def _take_record(self, stream: str, record: dict[str, Any]) -> None:
        """Process a row of a file as a RECORD in place of the BATCH message."""
        kind = SingerMessageType.RECORD
        self._callbacks[kind]({"type": kind, "stream": stream, "record": record})
        self._counts[kind] += 1

    def _process_text(self, text: bytes) -> None:
        for _ in range(_CHANGES_IN_A_BLOCK):
            text = self._process(text)
            if not text:
                return
        for line in split_lines(text):
            self._process_line(line)

    def _process(self, text: bytes) -> bytes:
        """Process lines until a SCHEMA changes the decoding, and return the lines that are left."""
        records = self.records
        version, read = records.version, 0
        for run in records.runs(text, self.place.after(1)):
            if isinstance(run, list):
                for line in run:
                    self._process_line(line)
                    read += 1
                    if records.version != version:
                        return b"".join(split_lines(text)[read:])
            else:
                read += self._take_block(*run)
        return b""

    def _process_line(self, line: bytes) -> None:
        self.place = self.place.after(1)
        if not line.strip():
            return
        message = self.deserialize_json(line)
        kind = message.get("type")
        callback = self._callbacks.get(kind) if isinstance(kind, str) else None
        if callback is None:
            self._process_unknown_message(message)
        else:
            callback(message)
            self._counts[SingerMessageType(kind)] += 1

    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        """Parse one line.

        Raises:
            StreamError: the line is not a JSON object. The error does not show its text, which may be personal data.
        """
        try:
            message = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError):
            message = self._parse_leniently(line)
        if not isinstance(message, dict):
            self._fail("is not a JSON object")
        return message

    @staticmethod
    def assert_line_requires(line_dict: dict[str, Any], requires: set[str]) -> None:
        """Check that a message has the required keys.

        Raises:
            StreamError: a key is missing. The error does not show the line's text.
        """
        missing = ", ".join(sorted(requires - line_dict.keys()))
        if missing:
            msg = f"A Singer message lacks {missing}. {AT_FAULT}"
            raise StreamError(msg)

    def _parse_leniently(self, line: bytes) -> Any:  # noqa: ANN401 - any JSON value
        """Parse what the fast decoder rejects and Python accepts: NaN, lone surrogates, huge exponents, a BOM."""
        try:
            return json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            self._fail("is not valid JSON in UTF-8 (malformed or truncated)")

    def _process_unknown_message(self, message_dict: dict[str, Any]) -> None:
        self._fail("has an unknown message type" if "type" in message_dict else "has no message type")

    def _fail(self, what: str) -> NoReturn:
        msg = f"{str(self.place).capitalize()} {what}. {AT_FAULT}"
        raise StreamError(msg) from None

    def _blocks(self, source: IO[Any]) -> Iterator[bytes | None]:
        """Yield blocks of complete lines, and None twice a second while the source is silent.

        Raises:
            StreamError: the source cannot be read, or the next line is too long.
        """
        try:
            yield from blocks_of(source)
        except LineError as error:
            self.place = self.place.after(1)
            self._fail(str(error))


def _as_in_json(value: Any) -> Any:  # noqa: ANN401 - any value of a file
    """Return a value of a columnar file in the form that a RECORD gives it."""
    return value.isoformat() if isinstance(value, (date, time)) else value
