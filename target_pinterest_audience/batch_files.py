"""The files that a BATCH message names: opened wherever they are, and read piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from target_pinterest_audience.column_names import plain_columns
from target_pinterest_audience.errors import ConfigurationError, StreamError
from target_pinterest_audience.file_column import values_of

if TYPE_CHECKING:
    import pyarrow.parquet as pq

JSONL: Final = "jsonl"
PARQUET: Final = "parquet"

_COMPRESSIONS: Final[Mapping[str, str | None]] = {"gzip": "gzip", "none": None}
_PIECE_BYTES: Final = 1 << 20
_PIECE_ROWS: Final = 10_000

Table = tuple[dict[str, Sequence[Any]], int]
"""Column → values, and how many rows there are."""


@dataclass(frozen=True, slots=True)
class BatchFiles:
    """What a BATCH message says of its files.

    Attributes:
        urls: where they are: paths, or addresses of any kind that fsspec knows.
        format: `jsonl`, a record a line, or `parquet`.
        compression: what fsspec calls it; None for none. Parquet files know it themselves.
        line: the line of the message.
    """

    urls: Sequence[str]
    format: str
    compression: str | None
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
            return cls(manifest, PARQUET, None, line)
        if kind != JSONL or compression not in _COMPRESSIONS:
            msg = (
                f"The files of the BATCH message on line {line} are neither JSONL, plain or with gzip, nor Parquet. "
                "Choose one of these in the tap's `batch_config`."
            )
            raise ConfigurationError(msg)
        return cls(manifest, JSONL, _COMPRESSIONS[compression], line)

    def texts(self) -> Iterator[bytes]:
        """Yield whole lines of JSONL files, about a megabyte at a time.

        Raises:
            StreamError: a file cannot be read, or is cut off.
        """
        for number in range(len(self.urls)):
            rest = b""
            with self._open(number) as file:
                while piece := file.read(_PIECE_BYTES):
                    end = piece.rfind(b"\n") + 1
                    if end:
                        yield rest + piece[:end]
                        rest = b""
                    rest += piece[end:]
            if rest:
                yield rest

    def tables(self, columns: Sequence[str] | None) -> Iterator[Table]:
        """Yield the rows of Parquet files, some thousand at a time.

        Args:
            columns: those that are needed and there; None for all.

        Raises:
            StreamError: a file cannot be read, or is none.
            ConfigurationError: the extra `parquet` is not installed.
        """
        try:
            from pyarrow import parquet  # noqa: PLC0415 - heavy, and only for who has such files
        except ModuleNotFoundError:
            msg = (
                f"The BATCH message on line {self.line} names Parquet files, which need the extra `parquet`: install "
                "target-pinterest-audience[parquet], or choose JSONL in the tap's `batch_config`."
            )
            raise ConfigurationError(msg) from None
        for number in range(len(self.urls)):
            with self._open(number) as file:
                opened = parquet.ParquetFile(file)
                there = plain_columns({name: name for name in opened.schema_arrow.names})
                uuids = _uuid_columns(opened.schema)
                some = [there[name] for name in columns if name in there] if columns is not None else None
                for batch in opened.iter_batches(_PIECE_ROWS, columns=some):
                    names = batch.schema.names
                    found = {name: values_of(batch.column(name), is_uuid=name in uuids) for name in names}
                    yield plain_columns(found), batch.num_rows

    @contextmanager
    def _open(self, number: int) -> Iterator[IO[bytes]]:
        """Open a file; whatever goes wrong while it is open is the file's fault.

        What takes its rows is not called within: a generator's consumer raises elsewhere.
        """
        import fsspec  # noqa: PLC0415 - only for who has such files

        url = self.urls[number]
        scheme = url.partition("://")[0] if "://" in url else "file"
        try:
            fsspec.get_filesystem_class(scheme)
        except (ImportError, ValueError):
            msg = (
                f"File {number + 1} that the BATCH message on line {self.line} names is at a {scheme}:// address, and "
                "no fsspec driver for that is installed. Install it beside this target: s3fs for s3, gcsfs for gs."
            )
            raise ConfigurationError(msg) from None
        try:
            with fsspec.open(_address(url), "rb", compression=self.compression) as file:
                yield file
        except Exception as error:  # noqa: BLE001 - each driver, and pyarrow, has errors of its own
            raise self._unreadable(number, error) from None

    def _unreadable(self, number: int, error: Exception) -> StreamError:
        return StreamError(
            f"File {number + 1} of the {len(self.urls)} that the BATCH message on line {self.line} names cannot be "
            f"read ({type(error).__name__}). It may be cut off or gone, or lie where this machine has no access; what "
            "came before is delivered."
        )


def _uuid_columns(schema: pq.ParquetSchema) -> set[str]:
    """Return the columns of a Parquet file that it says are UUIDs."""
    columns = [schema.column(place) for place in range(len(schema))]
    return {column.path for column in columns if column.logical_type.type == "UUID"}


def _address(url: str) -> str:
    """Return an address as fsspec wants it: taps on the SDK encode what is special in a local path, fsspec does not."""
    path = url.removeprefix("file://")
    return unquote(path) if path != url and not Path(path).exists() else url
