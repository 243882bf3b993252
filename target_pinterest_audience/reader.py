"""Where the stream enters: lines from a pipe or a file, and a sign of life while the pipe is silent."""

from __future__ import annotations

import io
import json
import os
import queue
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import IO, Any, Final, NoReturn

import msgspec
from singer_sdk.singerlib.encoding import GenericSingerReader, SingerMessageType

from target_pinterest_audience.errors import StreamError
from target_pinterest_audience.record_blocks import RecordDecoder

_BLOCK_BYTES: Final = 1 << 20
_BLOCKS_AHEAD: Final = 4
_TICK_SECONDS: Final = 0.5
_CHANGES_IN_A_BLOCK: Final = 8
"""How often a block is decoded anew because a SCHEMA in it changed what is needed; then it is read line by line."""

Callbacks = dict[str, Callable[[dict[str, Any]], None]]

# Decimals, so that numbers in a record or a STATE keep every digit on their way through.
_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode


class MessageReader(GenericSingerReader[bytes]):
    """Reads Singer messages, and says nothing of what they hold: the SDK's own reader logs bad lines whole.

    Attributes:
        line: the number of the line that is being read, from 1.
        records: knows the streams whose records need not be read whole.
    """

    def __init__(self, tick: Callable[[], None]) -> None:
        """Prepare.

        Args:
            tick: called after every block of lines, and twice a second while none come.
        """
        super().__init__()
        self._tick = tick
        self.line = 0
        self.records = RecordDecoder()

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
        counts: Counter[str] = Counter()
        for lines in self._blocks(file_input if file_input is not None else self.default_input):
            changes = 0
            while lines:
                fast = changes < _CHANGES_IN_A_BLOCK
                read = (
                    self._process(lines, callbacks, counts) if fast else self._process_lines(lines, callbacks, counts)
                )
                lines = lines[read:]  # noqa: PLW2901 - what is left of them
                changes += 1
            self._tick()
        return counts

    def _process(self, lines: list[bytes], callbacks: Callbacks, counts: Counter[str]) -> int:
        """Process lines until a SCHEMA changes how they are decoded; return how many."""
        records = self.records
        version, read = records.version, 0
        for run in records.runs(lines, self.line + 1):
            if isinstance(run, int):
                for line in lines[read : read + run]:
                    self._process_line(line, callbacks, counts)
                    read += 1
                    if records.version != version:
                        return read
            else:
                take, block = run
                self.line += 1
                take(block)
                self.line += len(block) - 1
                counts[SingerMessageType.RECORD] += len(block)
                read += len(block)
        return read

    def _process_lines(self, lines: list[bytes], callbacks: Callbacks, counts: Counter[str]) -> int:
        for line in lines:
            self._process_line(line, callbacks, counts)
        return len(lines)

    def _process_line(self, line: bytes, callbacks: Callbacks, counts: Counter[str]) -> None:
        self.line += 1
        if not line.strip():
            return
        message = self.deserialize_json(line)
        kind = message.get("type")
        callback = callbacks.get(kind) if isinstance(kind, str) else None
        if callback is None:
            self._process_unknown_message(message)
        else:
            callback(message)
            counts[SingerMessageType(kind)] += 1

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
            f"Line {self.line} of the stream {what}. The target reads Singer messages; the tap, or what stands between "
            "them, is at fault: look at its log."
        )
        raise StreamError(msg) from None

    def _blocks(self, source: IO[Any]) -> Iterator[list[bytes]]:
        """Yield lists of whole lines, and an empty list as a sign of life while the source is silent."""
        try:
            descriptor = source.fileno()
        except (AttributeError, io.UnsupportedOperation):
            for block in source:
                yield (block.encode() if isinstance(block, str) else block).removesuffix(b"\n").split(b"\n")
            return
        rest: list[bytes] = []
        for block in _read_ahead(descriptor):
            head, newline, tail = block.rpartition(b"\n")
            if newline:
                rest.append(head)
                yield b"".join(rest).split(b"\n")
                rest = []
            else:
                yield []
            if tail:
                rest.append(tail)
        if rest:
            yield [b"".join(rest)]


def _read_ahead(descriptor: int) -> Iterator[bytes]:
    """Yield what can be read, as it comes, and empty bytes while nothing does.

    A thread waits for the input, because a wait for a pipe cannot be given a time-out on every platform. It reads the
    descriptor itself: a buffered reader that is being waited for cannot be closed when the process must leave.

    Raises:
        StreamError: the input cannot be read.
    """
    blocks: queue.Queue[bytes | OSError | None] = queue.Queue(_BLOCKS_AHEAD)

    def read() -> None:
        try:
            while block := os.read(descriptor, _BLOCK_BYTES):
                blocks.put(block)
        except OSError as error:
            blocks.put(error)
        else:
            blocks.put(None)

    threading.Thread(target=read, name="stream-reader", daemon=True).start()
    while True:
        try:
            block = blocks.get(timeout=_TICK_SECONDS)
        except queue.Empty:
            yield b""
            continue
        if block is None:
            return
        if isinstance(block, OSError):
            msg = f"The stream cannot be read: {block.strerror}."
            raise StreamError(msg)
        yield block
