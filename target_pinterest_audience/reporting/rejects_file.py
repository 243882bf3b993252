"""What was rejected, told for a person to act on: where, and why, never what."""

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
        line: the line of the stream, from 1; for a row of a file, that of the BATCH message which names the file.
        file_row: the row in the files of that message, from 1; None for a RECORD, and if Pinterest refused it.
        column: the column, or all that it may have been.
        type: the type of identity that it holds.
        reason: why, as a sentence for people.
        row: the ledger's keyed digest of the row's key, in hex; None without a ledger, or if the key is bad.
    """

    stream: str
    line: int
    file_row: int | None
    column: str
    type: str
    reason: str
    row: str | None


class RejectsFile:
    """A JSON Lines file with the rejects of the newest run, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        """Begin the file anew, so that what it holds is of this run, also if there is nothing.

        Raises:
            ConfigurationError: it cannot be written.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = open_anew(path)
        except OSError as error:
            msg = f"The file that `rejects_path` names cannot be written ({error.strerror})."
            raise ConfigurationError(msg) from None

    def write(self, reject: Reject) -> None:
        """Write a line, at once: a STATE that covers it may leave next.

        Raises:
            OutputError: the disk is full, for example.
        """
        try:
            os.write(self._descriptor, safe_json(msgspec.json.encode(reject)) + b"\n")
        except OSError as error:
            msg = f"The file that `rejects_path` names takes no more ({error.strerror}). Make room, and run again."
            raise OutputError(msg) from None

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
