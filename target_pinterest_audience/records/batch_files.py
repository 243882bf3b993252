"""Reads the files that a BATCH message names. Their first bytes show their format."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, Final

from target_pinterest_audience.errors import ConfigurationError, StreamError, TargetError
from target_pinterest_audience.records.file_addresses import FileAddress
from target_pinterest_audience.records.long_lines import LineError, whole_lines
from target_pinterest_audience.records.null_parents import NO_PARENTS, NullParents
from target_pinterest_audience.records.parquet.errors import ParquetError
from target_pinterest_audience.records.paths import Path

if TYPE_CHECKING:
    from target_pinterest_audience.records.parquet.reader import Table

JSONL: Final = "jsonl"
PARQUET: Final = "parquet"

_GZIP: Final = "gzip"
_COMPRESSIONS: Final = frozenset({_GZIP, "none"})
_PIECE_BYTES: Final = 1 << 20
_HEAD_BYTES: Final = 64
_MAGIC: Final[Mapping[bytes, str]] = {b"\x1f\x8b": _GZIP, b"PAR1": PARQUET, b"PARE": PARQUET}
"""The first bytes of supported files."""
_UNSUPPORTED: Final[Mapping[bytes, str]] = {
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
    """The files of a BATCH message.

    Attributes:
        urls: their paths or addresses.
        format: the format that the message declares: `jsonl` (one record per line) or `parquet`.
        line: the line of the message.
    """

    urls: Sequence[str]
    format: str
    line: int

    @classmethod
    def of(cls, message: Mapping[str, Any], line: int) -> BatchFiles:
        """Parse a BATCH message.

        Args:
            message: the message, with `encoding` and `manifest`.
            line: its line in the stream.

        Raises:
            StreamError: the message is malformed.
            ConfigurationError: the files have a format that the target does not read.
        """
        encoding, manifest = message["encoding"], message["manifest"]
        if (
            not isinstance(encoding, dict)
            or not isinstance(manifest, list)
            or not all(isinstance(url, str) for url in manifest)
        ):
            msg = f"The BATCH message on line {line:,} has no `encoding`, or no list of files. Check the tap's log."
            raise StreamError(msg)
        kind, compression = encoding.get("format"), str(encoding.get("compression") or "none")
        if kind == PARQUET:
            return cls(manifest, PARQUET, line)
        if kind != JSONL or compression not in _COMPRESSIONS:
            msg = (
                f"The files of the BATCH message on line {line:,} are neither JSONL (plain or with gzip) nor Parquet. "
                f"{_CHOOSE}"
            )
            raise ConfigurationError(msg)
        return cls(manifest, JSONL, line)

    def pieces(
        self,
        columns: Sequence[str] | None,
        paths: Mapping[str, Path] = MappingProxyType({}),
        parents: NullParents = NO_PARENTS,
    ) -> Iterator[bytes | Table]:
        """Yield the rows: about a megabyte of complete lines of a JSONL file, or some thousand rows of a Parquet file.

        The first bytes of a file decide what it is, since some taps declare another format or compression than they
        write.

        Args:
            columns: the needed columns of Parquet files, and the texts of the needed paths; None for all columns.
            paths: the text of each needed path, and the path.
            parents: which needed columns are null in a row that lacks them.

        Raises:
            StreamError: a file cannot be read, or has a line that is too long.
            ConfigurationError: a file has an address that is not allowed, or needs a package that is not installed.
        """
        numbers = range(len(self.urls))
        addresses = [FileAddress.of(url, self._name(number)) for number, url in enumerate(self.urls)]
        for number in numbers:
            with self._open(number, addresses[number]) as file:
                yield from self._pieces_of(number, file, columns, paths, parents)

    def _pieces_of(
        self,
        number: int,
        file: IO[bytes],
        columns: Sequence[str] | None,
        paths: Mapping[str, Path],
        parents: NullParents,
    ) -> Iterator[bytes | Table]:
        kind = self._kind(number, file.read(_HEAD_BYTES))
        if kind == PARQUET:
            self._require_parquet()
            from target_pinterest_audience.records.parquet.reader import read_tables  # noqa: PLC0415 - only needed for such files

            yield from read_tables(file, columns, paths, parents)
            return
        file.seek(0)
        if kind == _GZIP:
            from fsspec.compression import compr  # noqa: PLC0415 - only needed for such files

            # fsspec uses a faster decompressor than Python's own if one is installed.
            file = compr["gzip"](file, mode="r")
        yield from whole_lines(partial(file.read, _PIECE_BYTES))

    def _kind(self, number: int, head: bytes) -> str:
        """Return the format of a file: Parquet, gzip or JSONL.

        Args:
            number: the index of the file.
            head: its first bytes.

        Raises:
            ConfigurationError: the file has a format or compression that the target does not read.
            StreamError: the message declares Parquet, and the file is neither Parquet nor JSONL.
        """
        for magic, kind in _MAGIC.items():
            if head.startswith(magic):
                return kind
        for magic, name in _UNSUPPORTED.items():
            if head.startswith(magic):
                msg = f"{self._name(number)} is {name}, which the target does not read. {_CHOOSE}"
                raise ConfigurationError(msg)
        if self.format == PARQUET and not head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
            msg = (
                f"{self._name(number)} is neither Parquet nor JSONL. It may be truncated or damaged. Check the tap's "
                "log. Rows before it are delivered."
            )
            raise StreamError(msg)
        return JSONL

    def _require_parquet(self) -> None:
        """Check that Arrow is installed.

        Raises:
            ConfigurationError: Arrow is not installed.
        """
        try:
            import pyarrow.parquet  # noqa: F401, PLC0415 - heavy, and only needed for such files
        except ModuleNotFoundError:
            msg = (
                f"The BATCH message on line {self.line:,} names Parquet files, which need the extra `parquet`. Install "
                "target-pinterest-audience[parquet], or choose JSONL in the tap's `batch_config`."
            )
            raise ConfigurationError(msg) from None

    @contextmanager
    def _open(self, number: int, address: FileAddress) -> Iterator[IO[bytes]]:
        """Open a file, and report any error while it is open as an error of the file.

        The code that takes the rows does not run inside this block, since `pieces` is a generator.

        Raises:
            StreamError: the file cannot be read.
            ConfigurationError: the driver for its address is not installed.
        """
        try:
            with address.open() as file:
                yield file
        except TargetError:
            raise
        except ImportError:
            msg = (
                f"{self._name(number)} has a {address.scheme}:// address, and its fsspec driver is not installed. "
                "Install the driver next to this target: s3fs for s3, gcsfs for gs, adlfs for abfs."
            )
            raise ConfigurationError(msg) from None
        except (LineError, ParquetError) as error:
            what = f"a line {error}" if isinstance(error, LineError) else error
            msg = f"{self._name(number)} cannot be read: {what}. Rows before it are delivered."
            raise StreamError(msg) from None
        except Exception as error:  # noqa: BLE001 - each driver, and Arrow, has its own errors
            why = type(error).__name__
            if address.scheme == "file" and isinstance(error, OSError) and error.strerror:
                why = error.strerror
            msg = (
                f"{self._name(number)} cannot be read ({why}). It may be truncated or deleted, or this machine may "
                "have no access to it. Rows before it are delivered."
            )
            raise StreamError(msg) from None

    def _name(self, number: int) -> str:
        """Return a name for a file, as the subject of a sentence, without its address, which may hold a secret."""
        return f"File {number + 1:,} of {len(self.urls):,} in the BATCH message on line {self.line:,}"
