"""The position of a row in the stream."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """The position of a row, by which a person can find it again.

    Attributes:
        line: the line of the stream, from 1. For a row of a file, the line of the BATCH message that names the file.
        file_row: the number of the row, from 1, across all files of that message; None for a RECORD.
    """

    line: int
    file_row: int | None = None

    def __str__(self) -> str:
        """Return the position as a phrase for messages."""
        row = f", row {self.file_row:,} of its files" if self.file_row is not None else ""
        return f"line {self.line:,} of the stream{row}"

    def after(self, rows: int) -> Place:
        """Return the position of the row that comes a number of rows later."""
        if self.file_row is None:
            return Place(self.line + rows)
        return Place(self.line, self.file_row + rows)
