"""What was counted of the values of one stream, and what was noticed about them. No value is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from target_pinterest_audience.identities.shapes import shape_of
from target_pinterest_audience.identities.types import Remark
from target_pinterest_audience.records.position import Place
from target_pinterest_audience.text.counts import several

_LOOKED_AT: Final = 1000
"""The shapes of so many rejected values of a column are counted."""


_FEW_ANSWERS: Final = 10
"""So many people may refuse, and nobody consent, without a word."""


class NobodyConsents(NamedTuple):
    """A stream in which nobody consents.

    Attributes:
        stream: the stream.
        column: the column that holds the answers.
        rows: how many rows have one.
        nulls: how many of these are null.
    """

    stream: str
    column: str
    rows: int
    nulls: int

    @property
    def title(self) -> str:
        """What happened, as one line."""
        return f"nobody consents in stream {self.stream}"

    @property
    def text(self) -> str:
        """What is in the column, and what to do."""
        found = "is null in all" if self.nulls == self.rows else "holds no yes in any"
        cause = (
            "Check what fills the column."
            if self.nulls == self.rows
            else ("Check what fills the column, and whether `consent_values` has its word for yes.")
        )
        return (
            f"Column {self.column} (`consent_column`) {found} of {several(self.rows, 'row', 'rows')}. "
            f"Everybody whom these rows name is off the list, until their row says yes. {cause}"
        )


@dataclass(slots=True)
class StreamTally:
    """The counts of one stream."""

    stream: str
    rows: int = 0
    deleted_rows: int = 0
    """Rows that the source has deleted."""
    unmatched_deletes: int = 0
    """Deletes of rows that the ledger does not know."""
    received: int = 0
    """Values that were read, good or bad; what is empty or opted out is none."""
    rejected: int = 0
    added: int = 0
    """Identities that were to be added, once each."""
    unchanged: int = 0
    """Identities that were on the list already."""
    duplicates: int = 0
    """Identities that were named again while they waited, or that a later record of the same row took back."""
    refused: int = 0
    """Identities in rows that refuse them, or that another row refuses."""
    named_for_removal: int = 0
    consent_column: str | None = None
    answers: int = 0
    """Rows that are not deleted and have a consent column."""
    granted: int = 0
    """How many of these consent."""
    unanswered: int = 0
    """In how many of these the column is null."""
    usable: set[str] = field(default_factory=set)
    """The columns that had a good value."""
    shapes: dict[str, Counter[str]] = field(default_factory=dict)
    """Column that had none → what the first rejected values look like."""
    remarks: Counter[tuple[str, Remark]] = field(default_factory=Counter)
    """How often something was said of a column: why it was rejected, or what is worth knowing."""
    first_places: dict[tuple[str, Remark], Place] = field(default_factory=dict)
    warnings: set[str] = field(default_factory=set)
    """What was said of the stream already."""

    def add_outcomes(self, other: StreamTally) -> None:
        """Add what another count of the same stream says became of values."""
        self.added += other.added
        self.unchanged += other.unchanged
        self.duplicates += other.duplicates
        self.refused += other.refused
        self.named_for_removal += other.named_for_removal
        self.unmatched_deletes += other.unmatched_deletes

    def count_answers(self, rows: int, granted: int, nulls: int = 0) -> None:
        """Count what rows say in the consent column.

        Args:
            rows: how many there are.
            granted: how many of them consent.
            nulls: in how many of them the column is null.
        """
        self.answers += rows
        self.granted += granted
        self.unanswered += nulls

    @property
    def nobody_consents(self) -> NobodyConsents | None:
        """What there is to say if more than a few people were asked and none of them consents."""
        if self.consent_column is None or self.granted or self.answers <= _FEW_ANSWERS:
            return None
        return NobodyConsents(self.stream, self.consent_column, self.answers, self.unanswered)

    def remark(self, column: str, remark: Remark, place: Place, values: int = 1) -> None:
        """Count a remark about values of a column, and keep the place where it was first made."""
        self.remarks[column, remark] += values
        self.first_places.setdefault((column, remark), place)

    def reject(self, column: str, remark: Remark, place: Place) -> None:
        """Count a rejected identity."""
        self.received += 1
        self.rejected += 1
        self.remark(column, remark, place)

    def reject_late(self, column: str, line: int, *, was_added: bool) -> None:
        """Count an identity that Pinterest refused, after it had been counted by what was to become of it.

        Args:
            column: the column that it came from.
            line: the line of the stream that it came on.
            was_added: whether it was to be added; else it was to be removed, which only some removals are counted as.
        """
        if was_added and self.added:
            self.added -= 1
        elif not was_added and self.named_for_removal:
            self.named_for_removal -= 1
        else:
            self.received += 1
        self.rejected += 1
        self.remark(column, Remark.REFUSED_BY_PINTEREST, Place(line))

    @property
    def outcomes(self) -> dict[str, int]:
        """What became of the values, by names for people."""
        return {
            "to add": self.added,
            "unchanged": self.unchanged,
            "duplicate": self.duplicates,
            "refused": self.refused,
            "named for removal": self.named_for_removal,
            "rejected": self.rejected,
        }

    @property
    def is_balanced(self) -> bool:
        """Whether something is known to have become of every value, as it must at the end of a run."""
        return self.received == sum(self.outcomes.values())

    def note_shape(self, column: str, value: object) -> None:
        """Note what a value looks like that is rejected for itself, unless the column had good ones before."""
        if column not in self.usable:
            seen = self.shapes.setdefault(column, Counter())
            if sum(seen.values()) < _LOOKED_AT:
                seen[shape_of(value)] += 1

    @property
    def rejects(self) -> Iterator[tuple[str, Remark, int]]:
        """The columns of rejected values, why they were rejected before anything was sent, and how many."""
        for (column, remark), count in self.remarks.items():
            if remark.rejects and remark is not Remark.REFUSED_BY_PINTEREST:
                yield column, remark, count
