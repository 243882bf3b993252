"""Decodes blocks of JSON lines, and of each record only the columns that its stream needs."""

from __future__ import annotations

import codecs
import contextlib
import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET

from target_pinterest_audience.records.block import DecodedRecords, Lines, RecordBlock, RowLayout, split_lines
from target_pinterest_audience.records.null_parents import NO_PARENTS, NullParents
from target_pinterest_audience.records.paths import Field, Path
from target_pinterest_audience.records.position import Place

TakeBlock = Callable[[RecordBlock], None]
"""Takes the blocks of one stream."""

Run = tuple[TakeBlock, RecordBlock] | list[bytes]
"""Consecutive lines: either a block of records and the function that takes it, or lines to decode one by one."""

Decode = Callable[[bytes], Any]

_MOST_DECODERS: Final = 16
_PIECE_BYTES: Final = 1 << 16
"""How many bytes are checked at once for being UTF-8."""


class _Other(msgspec.Struct, tag_field="type", tag="SCHEMA"):
    """A message that is not a record. It is decoded again from its line, so its fields are not needed here."""

    stream = None


class _State(_Other, tag="STATE"):
    pass


class _ActivateVersion(_Other, tag="ACTIVATE_VERSION"):
    pass


class _Batch(_Other, tag="BATCH"):
    pass


_Tree = dict[str, "_Tree | None"]
"""The needed fields of an object: those of an inner object, or None where the whole value is needed."""

_NoObject = str | int | float | bool | None
"""The JSON values that are neither objects nor arrays."""

_OTHER: Final = _Other()
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError)
_stream_of = attrgetter("stream")
_record_of = attrgetter("record")


class Need(NamedTuple):
    """What a stream needs of its records.

    Attributes:
        layout: which attributes of decoded rows hold the needed columns.
        take: takes the blocks.
    """

    layout: RowLayout
    take: TakeBlock

    @property
    def columns(self) -> list[str]:
        """The needed columns, and the texts of the needed paths."""
        return list(self.layout.attributes)

    @property
    def paths(self) -> Mapping[str, Path]:
        """The text of each needed path, and the path."""
        return self.layout.paths

    @property
    def parents(self) -> NullParents:
        """Which needed columns are null in a record that lacks them."""
        return self.layout.parents


class RecordDecoder:
    """Decodes the records of the streams whose needed columns are known.

    Attributes:
        version: changes whenever the decoding changes, so that a reader can begin the rest of its block again.
    """

    def __init__(self) -> None:
        """Begin with no stream."""
        self.version = 0
        self._attributes: dict[str, str] = {}
        """The name of a column, or of a field inside one → the attribute that holds it."""
        self._tree: _Tree = {}
        """What all streams need."""
        self._growth = 0
        """How often the tree has changed."""
        self._needs: dict[str, Need | None] = {}
        """Stream → what it needs of its records; None if they are decoded one by one."""
        self._decode: Decode | None = None
        self._decode_row: Decode | None = None
        self._decoders: dict[Any, tuple[Decode | None, Decode | None]] = {}
        """The decoders of messages and of records for recent needs, since a tap may alternate between SCHEMAs."""

    def need(
        self,
        stream: str,
        columns: Sequence[str],
        take: TakeBlock,
        written: Mapping[str, Collection[str]] = MappingProxyType({}),
        paths: Mapping[str, Path] = MappingProxyType({}),
        parents: NullParents = NO_PARENTS,
    ) -> None:
        """From now on, decode a stream's records in blocks and only with some columns.

        Args:
            stream: the stream's name in the tap's messages.
            columns: the needed columns, and the texts of the needed paths.
            take: takes the blocks.
            written: column → other names that records may give it.
            paths: the text of each path that the settings name, and the path.
            parents: which columns are null in a record that lacks them.
        """
        attributes: dict[str, str] = {}
        others: dict[str, list[str]] = {}
        for text in columns:
            column, fields, _ = paths.get(text) or Path(text)
            attributes[text] = self._need_value(column, fields)
            if column in written:
                others[text] = [self._need_value(name, fields) for name in written[column]]
        known = {
            text: path._replace(fields=tuple(Field(name, self._attribute(name)) for name, _ in path.fields))
            for text, path in paths.items()
            if text in attributes
        }
        holders = {paths[text].column if text in paths else text for text in columns}
        self._set(stream, Need(RowLayout(attributes, others, known, parents.only(holders)), take))

    def _need_value(self, column: str, fields: Sequence[Field]) -> str:
        """Note that a value inside a column is needed, and return the attribute that holds the column."""
        tree = self._tree
        steps = [column, *(name for name, _ in fields)]
        for name in steps[:-1]:
            if name not in tree:
                tree[name] = {}
            inner = tree[name]
            if inner is None:
                # The whole object is needed anyway.
                return self._attribute(column)
            tree = inner
        if steps[-1] not in tree or tree[steps[-1]] is not None:
            tree[steps[-1]] = None
            self._growth += 1
        return self._attribute(column)

    def _attribute(self, name: str) -> str:
        return self._attributes.setdefault(name, f"c{len(self._attributes)}")

    def needed(self, stream: str) -> Need | None:
        """Return what a stream needs of its records; None if they are decoded one by one."""
        return self._needs.get(stream)

    def forget(self, stream: str) -> None:
        """From now on, leave a stream's records to be decoded one by one."""
        self._set(stream, None)

    def _set(self, stream: str, need: Need | None) -> None:
        if stream in self._needs and self._needs[stream] == need:
            return
        before = self._needs.get(stream)
        self._needs[stream] = need
        if before is not None and need is not None and before.layout == need.layout:
            # The blocks only go to another function.
            return
        self.version += 1
        key = tuple((name, each is not None) for name, each in self._needs.items()), self._growth
        if key not in self._decoders:
            while len(self._decoders) >= _MOST_DECODERS:
                del self._decoders[next(iter(self._decoders))]
            self._decoders[key] = self._make_decoders()
        self._decode, self._decode_row = self._decoders[key]

    def _make_decoders(self) -> tuple[Decode | None, Decode | None]:
        """Return the decoders of messages and of records; None where every line is decoded by itself."""
        if not any(self._needs.values()):
            return None, None
        # msgspec refuses a field name with a quote or a backslash, and any name with a lone surrogate.
        with contextlib.suppress(ValueError):
            row = self._struct("Row", self._tree, UNSET)
            # A literal gives one string object for each stream instead of one for each record.
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

    def _struct(self, name: str, tree: _Tree, default: object) -> type[msgspec.Struct]:
        """Return a struct with an attribute for each needed field; the others are skipped when it is decoded."""
        fields = []
        for field, inner in tree.items():
            kind: Any = Any
            if inner is not None:
                # An object where an object is expected, alone or in an array, and anything else as it is.
                needed = self._struct("Object", inner, None)
                kind = needed | list[needed | _NoObject | list[Any]] | _NoObject  # type: ignore[valid-type]
            fields.append((self._attribute(field), kind, default))
        rename = {self._attribute(field): field for field in tree}
        return msgspec.defstruct(name, fields, rename=rename, gc=False)

    def runs(self, text: bytes, first: Place) -> Iterator[Run]:
        """Divide Singer messages into blocks of records and lines to decode one by one, in their order.

        Args:
            text: complete lines of the stream.
            first: the position of the first line.
        """
        messages = _decode_each(text, self._decode)
        texts: list[bytes] = []
        lines = Lines(text, are_messages=True)
        for at, group in _alike(messages, _stream_of):
            stream = group[0].stream
            need = self._needs.get(stream) if stream is not None else None
            if need is None:
                # Split the text only once: a tap may write a STATE after each row.
                texts = texts or split_lines(text)
                yield texts[at : at + len(group)]
            else:
                rows = list(map(_record_of, group))
                yield need.take, DecodedRecords(rows, need.layout, first.after(at), lines, at)

    def rows(self, stream: str, text: bytes, first: Place) -> Iterator[Run]:
        """Divide bare records of a stream into blocks and lines to decode one by one, in their order.

        Args:
            stream: the stream's name in the tap's messages.
            text: complete lines of a file.
            first: the position of the first line.
        """
        texts: list[bytes] = []
        need, lines = self._needs.get(stream), Lines(text, are_messages=False)
        for at, group in _alike(_decode_each(text, self._decode_row if need is not None else None), type):
            if need is None or group[0] is _OTHER:
                texts = texts or split_lines(text)
                yield texts[at : at + len(group)]
            else:
                yield need.take, DecodedRecords(group, need.layout, first.after(at), lines, at)


def _alike(messages: list[Any], kind: Callable[[Any], Any]) -> Iterator[tuple[int, list[Any]]]:
    """Yield groups of consecutive messages of the same kind, each with the index of its first message."""
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
    """Return the decoded lines, with `_OTHER` for each line that has to be decoded by itself."""
    if decode is not None and _is_utf8(text):
        try:
            # `BytesIO` yields one line at a time, so each line is decoded while it is in the processor's caches.
            return list(map(decode, io.BytesIO(text)))
        except _UNREADABLE:
            return [_decode_one(line, decode) for line in split_lines(text)]
    return [_OTHER] * len(split_lines(text))


def _decode_one(line: bytes, decode: Callable[[bytes], Any]) -> Any:  # noqa: ANN401 - a struct made for the streams
    try:
        return decode(line)
    except _UNREADABLE:
        # Unusual or malformed: decoding the whole line shows which.
        return _OTHER


def _is_utf8(text: bytes) -> bool:
    """Return whether a text is valid UTF-8. The decoder does not check the values that it skips."""
    if text.isascii():
        return True
    at, size = 0, len(text)
    try:
        with memoryview(text) as view:
            # In small pieces: the decoded text is thrown away, and small pieces reuse the same warm memory.
            while at < size:
                _, read = codecs.utf_8_decode(view[at : at + _PIECE_BYTES], "strict", at + _PIECE_BYTES >= size)
                at += read
    except UnicodeDecodeError:
        return False
    return True
