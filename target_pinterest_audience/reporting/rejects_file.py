"""The file of rejected values: where each one is and why it was rejected, never the value itself."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from target_pinterest_audience.errors import ConfigurationError, OutputError
from target_pinterest_audience.system.symlinks import open_anew
from target_pinterest_audience.text.safe_text import safe_json


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
        """Start with an empty file, so that it never shows the rejected values of an earlier run.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = open_anew(path)
        except OSError as error:
            msg = f"The file at `rejects_path` cannot be written ({error.strerror})."
            raise ConfigurationError(msg) from None

    def write(self, reject: Reject) -> None:
        """Write a line without buffering, because a STATE that covers it may be emitted next.

        Raises:
            OutputError: the file cannot be written any more, for example because the disk is full.
        """
        try:
            os.write(self._descriptor, safe_json(msgspec.json.encode(reject)) + b"\n")
        except OSError as error:
            msg = (
                f"The file at `rejects_path` cannot be written any more ({error.strerror}). Free some space, then run "
                "again."
            )
            raise OutputError(msg) from None

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
