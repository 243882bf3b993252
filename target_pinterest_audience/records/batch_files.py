"""The files that a BATCH message names: opened where they lie, told apart by their first bytes, read piece by piece."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, Final

from target_pinterest_audience.errors import ConfigurationError, StreamError, TargetError
from target_pinterest_audience.records.file_addresses import FileAddress
from target_pinterest_audience.records.long_lines import LineError, whole_lines
from target_pinterest_audience.records.parquet_file import Table, read_tables
from target_pinterest_audience.records.parquet_pages import PageError

JSONL: Final = "jsonl"
PARQUET: Final = "parquet"

_GZIP: Final = "gzip"
_COMPRESSIONS: Final = frozenset({_GZIP, "none"})
_PIECE_BYTES: Final = 1 << 20
_HEAD_BYTES: Final = 64
_MAGIC: Final[Mapping[bytes, str]] = {b"\x1f\x8b": _GZIP, b"PAR1": PARQUET, b"PARE": PARQUET}
"""The first bytes of files that are read."""
_UNREAD: Final[Mapping[bytes, str]] = {
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ\0": "compressed with xz",
    b"\x04\x22\x4d\x18": "compressed with lz4",
    b"\xff\x06\0\0sNaPpY": "compressed with snappy",
    b"PK\x03\x04": "a zip archive",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"ARROW1": "an Arrow file",
    codecs.BOM_UTF16_LE: "text in UTF-16",
    codecs.BOM_UTF16_BE: "text in UTF-16",
}
_CHOOSE: Final = "Choose JSONL, plain or with gzip, or Parquet in the tap's `batch_config`."


@dataclass(frozen=True, slots=True)
class BatchFiles:
    """What a BATCH message says of its files.

    Attributes:
        urls: where they are: paths, or addresses; see `FileAddress`.
        format: `jsonl`, a record a line, or `parquet`, as the tap says.
        line: the line of the message.
    """

    urls: Sequence[str]
    format: str
    line: int

    @classmethod
    def of(cls, message: Mapping[str, Any], line: int) -> BatchFiles:
        """Read a message.

        Args:
            message: with `encoding` and `manifest`.
            line: its line in the stream.

        Raises:
            StreamError: it is malformed.
            ConfigurationError: its files are of a kind that is not read.
        """
        encoding, manifest = message["encoding"], message["manifest"]
        if (
            not isinstance(encoding, dict)
            or not isinstance(manifest, list)
            or not all(isinstance(url, str) for url in manifest)
        ):
            msg = f"The BATCH message on line {line} has no `encoding`, or no list of files. The tap is at fault."
            raise StreamError(msg)
        kind, compression = encoding.get("format"), str(encoding.get("compression") or "none")
        if kind == PARQUET:
            return cls(manifest, PARQUET, line)
        if kind != JSONL or compression not in _COMPRESSIONS:
            msg = (
                f"The files of the BATCH message on line {line} are neither JSONL, plain or with gzip, nor Parquet. "
                f"{_CHOOSE}"
            )
            raise ConfigurationError(msg)
        return cls(manifest, JSONL, line)

    def pieces(self, columns: Sequence[str] | None) -> Iterator[bytes | Table]:
        """Yield whole lines of JSONL files, about a megabyte at a time, and some thousand rows of Parquet files.

        What a file is shows in its first bytes; taps name another format or compression than they write.

        Args:
            columns: those that are needed of Parquet files; None for all.

        Raises:
            StreamError: a file cannot be read, or holds a line that is too long.
            ConfigurationError: a file lies where none may, or needs what is not installed.
        """
        numbers = range(len(self.urls))
        addresses = [FileAddress.of(url, self._name(number)) for number, url in enumerate(self.urls)]
        for number in numbers:
            with self._open(number, addresses[number]) as file:
                yield from self._pieces_of(number, file, columns)

    def _pieces_of(self, number: int, file: IO[bytes], columns: Sequence[str] | None) -> Iterator[bytes | Table]:
        kind = self._kind(number, file.read(_HEAD_BYTES))
        if kind == PARQUET:
            self._require_parquet()
            yield from read_tables(file, columns)
            return
        file.seek(0)
        if kind == _GZIP:
            from fsspec.compression import compr  # noqa: PLC0415 - only for those with such files

            # May be faster than Python's own.
            file = compr["gzip"](file, mode="r")
        yield from whole_lines(partial(file.read, _PIECE_BYTES))

    def _kind(self, number: int, head: bytes) -> str:
        """Return what a file is: Parquet, gzip or JSONL.

        Args:
            number: its number.
            head: its first bytes.

        Raises:
            ConfigurationError: it is compressed in a way that is not read.
            StreamError: it should be a Parquet file, and is neither one nor JSONL.
        """
        for magic, kind in _MAGIC.items():
            if head.startswith(magic):
                return kind
        for magic, name in _UNREAD.items():
            if head.startswith(magic):
                msg = f"{self._name(number)} is {name}, which the target does not read. {_CHOOSE}"
                raise ConfigurationError(msg)
        if self.format == PARQUET and not head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
            msg = (
                f"{self._name(number)} is neither a Parquet file nor JSONL. It may be cut off or damaged; what came "
                "before it is delivered. Check the tap's log."
            )
            raise StreamError(msg)
        return JSONL

    def _require_parquet(self) -> None:
        """Check that Arrow is installed.

        Raises:
            ConfigurationError: it is not.
        """
        try:
            import pyarrow.parquet  # noqa: F401, PLC0415 - heavy, and only for those with such files
        except ModuleNotFoundError:
            msg = (
                f"The BATCH message on line {self.line} names Parquet files, which need the extra `parquet`: install "
                "target-pinterest-audience[parquet], or choose JSONL in the tap's `batch_config`."
            )
            raise ConfigurationError(msg) from None

    @contextmanager
    def _open(self, number: int, address: FileAddress) -> Iterator[IO[bytes]]:
        """Open a file; whatever goes wrong while it is open is the file's fault.

        What takes its rows is not called within: a generator's consumer raises elsewhere.
        """
        try:
            with address.open() as file:
                yield file
        except TargetError:
            raise
        except ImportError:
            msg = (
                f"{self._name(number)} is at a {address.scheme}:// address, and no fsspec driver for that is "
                "installed. Install it beside this target: s3fs for s3, gcsfs for gs, adlfs for abfs."
            )
            raise ConfigurationError(msg) from None
        except (LineError, PageError) as error:
            what = f"a line {error}" if isinstance(error, LineError) else error
            msg = f"{self._name(number)} cannot be read: {what}. What came before it is delivered."
            raise StreamError(msg) from None
        except Exception as error:  # noqa: BLE001 - each driver, and pyarrow, has errors of its own
            why = type(error).__name__
            if address.scheme == "file" and isinstance(error, OSError) and error.strerror:
                why = error.strerror
            msg = (
                f"{self._name(number)} cannot be read ({why}). It may be cut off or gone, or lie where this machine "
                "has no access; what came before is delivered."
            )
            raise StreamError(msg) from None

    def _name(self, number: int) -> str:
        """Return which file it is, as the beginning of a sentence. Its address is not told: it may hold a secret."""
        return f"File {number + 1:,} of the {len(self.urls):,} that the BATCH message on line {self.line:,} names"
