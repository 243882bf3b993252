"""The file of rejected values: where each one is and why it was rejected, never the value itself."""

from __future__ import annotations

from pathlib import Path

import msgspec

from target_pinterest_audience.reporting.json_lines import JsonLinesFile


class Reject(msgspec.Struct, frozen=True):
    """One line of the file.

    Attributes:
        stream: the stream.
        line: the line of the stream, from 1; for a row of a file, the line of the BATCH message that names the file.
        file_row: the row in the files of that message, from 1; None for a RECORD, and if Pinterest refused the value.
        column: the column; if several columns are possible, all of them.
        type: the type of identity in the column.
        reason: why the value was rejected, as a sentence.
        row: the ledger's keyed digest of the row's key, in hex; None without a ledger, or if the key is invalid.
    """

    stream: str
    line: int
    file_row: int | None
    column: str
    type: str
    reason: str
    row: str | None


class RejectsFile:
    """A JSON Lines file with the rejected values of the newest run, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        """Start with an empty file.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        self._file = JsonLinesFile(path, "rejects_path")

    def write(self, reject: Reject) -> None:
        """Write a line.

        Raises:
            OutputError: the file cannot be written any more.
        """
        self._file.write([msgspec.json.encode(reject)])

    def close(self) -> None:
        """Close the file."""
        self._file.close()
