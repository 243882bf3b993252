"""What is counted during a run, and how it is told at the end. Nothing here ever sees a value."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from target_pinterest_audience.identities import Remark


@dataclass(slots=True)
class StreamTally:
    """The counts of one stream."""

    stream: str
    rows: int = 0
    deleted_rows: int = 0
    """Rows that the source has deleted."""
    received: int = 0
    """Values that were read, good or bad; what is empty or opted out is none."""
    rejected: int = 0
    remarks: Counter[tuple[str, Remark]] = field(default_factory=Counter)
    """How often something was said of a column: why it was rejected, or what is worth knowing."""
    first_lines: dict[tuple[str, Remark], int] = field(default_factory=dict)
    warnings: set[str] = field(default_factory=set)
    """What was said of the stream already."""

    def remark(self, column: str, remark: Remark, line: int) -> None:
        """Count a remark about a column, and keep the line where it was first made."""
        self.remarks[column, remark] += 1
        self.first_lines.setdefault((column, remark), line)

    def reject(self, column: str, remark: Remark, line: int) -> None:
        """Count a rejected identity."""
        self.received += 1
        self.rejected += 1
        self.remark(column, remark, line)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the counts as sentences, each with its log level."""
        deleted = f", {self.deleted_rows:,} of them marked as deleted" if self.deleted_rows else ""
        values = f"{self.received:,} values, {self.rejected:,} of them rejected"
        yield logging.INFO, f"{self.stream}: {self.rows:,} rows{deleted}; {values}"
        rejections_first = sorted(self.remarks, key=lambda key: (not key[1].rejects, -self.remarks[key]))
        for column, remark in rejections_first:
            level, verdict = (logging.WARNING, "rejected") if remark.rejects else (logging.INFO, "note")
            count, first = self.remarks[column, remark], self.first_lines[column, remark]
            where = f"first on line {first:,} of the stream"
            yield level, f"{self.stream}: {verdict}: {count:,} in column {column}: {remark.value} ({where})"


@dataclass(slots=True)
class ListTally:
    """The counts of one list."""

    added: int = 0
    removed: int = 0
    duplicates: int = 0
    """Identities that were asked for again while they waited; they were sent once."""
    needless: int = 0
    """Identities to be removed from a list that does not exist."""
    requests: int = 0
    """Requests that Pinterest accepted."""

    def __str__(self) -> str:
        """Tell the counts as one clause."""
        sent = f"sent {self.added:,} identities to add, {self.removed:,} to remove"
        left_out = f"left out {self.duplicates:,} duplicates"
        if self.needless:
            left_out += f" and {self.needless:,} needless removals, since the list did not exist"
        return f"{sent}; {left_out}; requests: {self.requests:,}"
