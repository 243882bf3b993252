"""Where the stream enters: lines from a pipe or a file, and a sign of life while the pipe is silent."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, time
from decimal import Decimal
from functools import partial
from typing import IO, Any, Final, NoReturn, TypeVar

import msgspec
from singer_sdk.singerlib.encoding import GenericSingerReader, SingerMessageType

from target_pinterest_audience.errors import StreamError
from target_pinterest_audience.records.batch_files import BatchFiles
from target_pinterest_audience.records.blocks import (
    ColumnarRecords,
    Need,
    RecordBlock,
    RecordDecoder,
    TakeBlock,
    split_lines,
)
from target_pinterest_audience.records.long_lines import LONG_LINE_BYTES, LineError, check_length, check_values
from target_pinterest_audience.records.parquet_file import Table
from target_pinterest_audience.records.position import Place
from target_pinterest_audience.records.read_ahead import ReadAhead

T = TypeVar("T")

_BLOCK_BYTES: Final = 1 << 19
"""How much is read and processed together at most, about: it stays in the processor's caches."""
_PIPE_BYTES: Final = 1 << 20
"""How much a pipe is asked to hold."""
_AHEAD: Final = 4
"""How many blocks wait at most."""
_PIECES_AHEAD: Final = 2
"""How many pieces of files wait at most. In a piece there may be a single value of many megabytes."""
_TICK_SECONDS: Final = 0.5
_CHANGES_IN_A_BLOCK: Final = 8
"""How often a block is decoded anew because a SCHEMA in it changed what is needed; then it is read line by line."""

Callbacks = dict[str, Callable[[dict[str, Any]], None]]

# Decimals, so that numbers in a record or a STATE keep every digit on their way through.
_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode


class MessageReader(GenericSingerReader[bytes]):
    """Reads Singer messages, and says nothing of what they hold: the SDK's own reader logs bad lines whole.

    Attributes:
        place: where what is being read stands.
        records: knows the streams whose records need not be read whole.
    """

    def __init__(self, tick: Callable[[], None]) -> None:
        """Prepare.

        Args:
            tick: called after every block of lines, and twice a second while none come.
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
        """Whether neither a row nor a STATE has come."""
        return not (
            self._counts[SingerMessageType.RECORD] or self._counts[SingerMessageType.STATE] or self._skipped_files
        )

    @property
    def line(self) -> int:
        """The number of the line that is being read, from 1."""
        return self.place.line

    @property
    def default_input(self) -> IO[bytes]:
        """Standard input, as bytes.

        Raises:
            StreamError: it is closed.
        """
        if sys.stdin is None:
            msg = "There is no standard input to read a stream from. Pipe a tap into the target."
            raise StreamError(msg)
        return sys.stdin.buffer

    def process_lines(self, file_input: IO[Any] | None, callbacks: Callbacks) -> Counter[str]:
        """Read messages until the input ends.

        Args:
            file_input: where to read from, text or bytes; standard input by default.
            callbacks: message type → what to do with such a message.

        Returns:
            How many messages of each type were read.

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
        """Read the files of a BATCH message, as if their rows were RECORDs in its place.

        Args:
            stream: the stream that the message names.
            files: the files.

        Raises:
            TargetError: a file cannot be read, or what it holds not be delivered.
        """
        message = self.place
        self.place = Place(message.line, 0)
        need = self.records.needed(stream)
        pieces = files.pieces(list(need.attributes) if need is not None else None)
        self._read_ahead(pieces, partial(self._read_piece, stream, need))
        self.place = message

    def skip_files(self) -> None:
        """Pass over the files of a BATCH message, which are taken to have rows."""
        self._skipped_files = True

    def _read_ahead(self, items: Iterator[T], take: Callable[[T], None]) -> None:
        """Take items in, and have the next ones read meanwhile."""
        with ReadAhead(items, _PIECES_AHEAD, "file-reader") as ahead:
            while not ahead.ended:
                item = ahead.get(_TICK_SECONDS)
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
        """Hand records over that come next; return how many."""
        take(block)
        self.place = self.place.after(len(block))
        self._counts[SingerMessageType.RECORD] += len(block)
        return len(block)

    def _take_record(self, stream: str, record: dict[str, Any]) -> None:
        """Process a row of a file as a RECORD in the place of the BATCH message."""
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
        """Process lines until a SCHEMA changes how they are decoded; return those that are left."""
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
            StreamError: it is not a JSON object. Its text is not shown, since it may hold a person.
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
        """Check that a message has the keys that it needs.

        Raises:
            StreamError: one is missing; the message names it and not what the line holds.
        """
        missing = ", ".join(sorted(requires - line_dict.keys()))
        if missing:
            msg = f"A Singer message lacks {missing}. The tap, or what stands between it and the target, is at fault."
            raise StreamError(msg)

    def _parse_leniently(self, line: bytes) -> Any:  # noqa: ANN401 - any JSON value
        """Parse what the fast decoder refuses and Python takes: NaN, lone surrogates, huge exponents, a BOM."""
        try:
            return json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            self._fail("is not JSON in UTF-8: malformed, or cut off")

    def _process_unknown_message(self, message_dict: dict[str, Any]) -> None:
        self._fail("has no type that Singer knows" if "type" in message_dict else "has no type")

    def _fail(self, what: str) -> NoReturn:
        msg = (
            f"What stands on {self.place} {what}. The target reads Singer messages; the tap, or what stands between "
            "them, is at fault: look at its log."
        )
        raise StreamError(msg) from None

    def _blocks(self, source: IO[Any]) -> Iterator[bytes | None]:
        """Yield whole lines, many at a time, and None as a sign of life while the source is silent.

        Raises:
            StreamError: the source cannot be read, or the next line is too long.
        """
        try:
            yield from _blocks_of(source)
        except LineError as error:
            self.place = self.place.after(1)
            self._fail(str(error))


def _blocks_of(source: IO[Any]) -> Iterator[bytes | None]:
    """Yield whole lines, many at a time, and None while the source is silent."""
    try:
        descriptor = source.fileno()
    except (AttributeError, io.UnsupportedOperation):
        for block in source:
            yield block.encode() if isinstance(block, str) else block
        return
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        # The system reads ahead in it by itself; a thread would take turns with this one at every block.
        yield from _read_lines(descriptor)
        return
    _widen(descriptor)
    with ReadAhead(_read_lines(descriptor), _AHEAD, "stream-reader") as ahead:
        while not ahead.ended:
            yield _what_has_come(ahead)


def _read_lines(descriptor: int) -> Iterator[bytes]:
    """Yield whole lines as they come, about a block at most.

    It reads the descriptor itself: a buffered reader that is being waited for cannot be closed when the process must
    leave.

    Raises:
        StreamError: the input cannot be read.
    """
    # Used again and again: the pages of a new block of memory cost as much as what is read into them.
    buffer, filled = bytearray(), 0
    while True:
        buffer.extend(bytes(max(0, filled + _BLOCK_BYTES - len(buffer))))
        try:
            # No more than a block, also where a long line has left much room.
            with memoryview(buffer)[filled : filled + _BLOCK_BYTES] as room:
                count = os.readv(descriptor, [room])
        except OSError as error:
            msg = f"The stream cannot be read: {error.strerror}."
            raise StreamError(msg) from None
        if not count:
            break
        end = buffer.rfind(b"\n", filled, filled + count) + 1
        if filled > LONG_LINE_BYTES and end:
            check_values(buffer, buffer.index(b"\n", filled))
        filled += count
        if end:
            yield bytes(memoryview(buffer)[:end])
            buffer[: filled - end] = buffer[end:filled]
            filled -= end
        check_length(filled)
    if filled:
        check_values(buffer, filled)
        yield bytes(buffer[:filled])


def _what_has_come(ahead: ReadAhead[bytes]) -> bytes | None:
    """Return the lines that were read meanwhile, about a block at most; None if none come for a moment.

    A pipe may give little at a time, and a block of a few lines costs as much as one of many.
    """
    texts: list[bytes] = []
    text = ahead.get(_TICK_SECONDS)
    while text is not None:
        texts.append(text)
        # Not if it could make it twice as much.
        text = ahead.get_another() if 2 * sum(map(len, texts)) < _BLOCK_BYTES else None
    return b"".join(texts) if texts else None


def _as_in_json(value: Any) -> Any:  # noqa: ANN401 - any value of a file
    """Return a value of a columnar file as a RECORD has it, for what looks at records whole."""
    return value.isoformat() if isinstance(value, (date, time)) else value


def _widen(descriptor: int) -> None:
    """Let a pipe hold a whole block, where that can be had: each time that its reader is woken costs milliseconds."""
    # Only Linux knows how, and it allows so much to each user.
    with contextlib.suppress(AttributeError, OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
