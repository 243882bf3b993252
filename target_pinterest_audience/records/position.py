"""Where a row stands: what a person needs to find it again."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """Where a row stands.

    Attributes:
        line: the line of the stream, from 1; for a row of a file, that of the BATCH message which names the file.
        file_row: the number of the row, from 1, in all files of that message together; None for a RECORD.
    """

    line: int
    file_row: int | None = None

    def __str__(self) -> str:
        """Name it, as the end of a sentence."""
        row = f", row {self.file_row:,} of its files" if self.file_row is not None else ""
        return f"line {self.line:,} of the stream{row}"

    def after(self, rows: int) -> Place:
        """Return where the row stands that comes so many later."""
        if self.file_row is None:
            return Place(self.line + rows)
        return Place(self.line, self.file_row + rows)
