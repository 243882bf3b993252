"""What is counted during a run, and how it is told at the end. Nothing here ever sees a value."""

from __future__ import annotations

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
    bad_rows: int = 0
    """Rows that were set aside as a whole."""
    received: int = 0
    """Identities that were read, good or bad; what is empty or opted out is none."""
    rejected: int = 0
    remarks: Counter[tuple[str, Remark]] = field(default_factory=Counter)
    """How often something was said of a column: why it was rejected, or what is worth knowing."""
    first_lines: dict[tuple[str, Remark], int] = field(default_factory=dict)

    def remark(self, column: str, remark: Remark, line: int) -> None:
        """Count a remark about a column, and keep the line where it was first made."""
        self.remarks[column, remark] += 1
        self.first_lines.setdefault((column, remark), line)

    def reject(self, column: str, remark: Remark, line: int) -> None:
        """Count a rejected identity."""
        self.received += 1
        self.rejected += 1
        self.remark(column, remark, line)

    def lines(self) -> Iterator[str]:
        """Yield the counts as sentences."""
        deleted = f", {self.deleted_rows:,} of them deleted at the source" if self.deleted_rows else ""
        yield f"{self.stream}: {self.rows:,} rows{deleted}; {self.received:,} identities, {self.rejected:,} rejected"
        rejections_first = sorted(self.remarks, key=lambda key: (not key[1].rejects, -self.remarks[key]))
        for column, remark in rejections_first:
            verdict = "rejected" if remark.rejects else "note"
            count, first = self.remarks[column, remark], self.first_lines[column, remark]
            yield f"{self.stream}: {verdict}: {column}: {count:,} times {remark.value} (first on line {first:,})"


@dataclass(slots=True)
class ListTally:
    """The counts of one list."""

    added: int = 0
    removed: int = 0
    duplicates: int = 0
    """Identities that were asked for again while they waited; they were sent once."""
    requests: int = 0
    """Requests that Pinterest accepted."""

    def __str__(self) -> str:
        """Tell the counts as one clause."""
        removed = f", {self.removed:,} removed" if self.removed else ""
        return f"{self.added:,} added{removed}, {self.duplicates:,} duplicates, in {self.requests:,} requests"
