"""Counts the values of one stream, and the remarks about them. It keeps no value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.identities.shapes import shape_of
from target_pinterest_audience.records.position import Place
from target_pinterest_audience.records.unseen_paths import WatchedPath
from target_pinterest_audience.text.counts import several

_MOST_SHAPES: Final = 1000
"""How many rejected values of a column are described."""

_REFUSALS: Final = frozenset({Remark.REFUSED_BY_PINTEREST, Remark.PHONES_REFUSED, Remark.PHONE_REMOVAL_REFUSED})

_FEW_ANSWERS: Final = 10
"""If so few people were asked and none of them consents, there is no warning."""


class NobodyConsents(NamedTuple):
    """A stream in which nobody consents.

    Attributes:
        stream: the stream.
        column: the consent column.
        rows: how many rows have it.
        nulls: in how many of these it is null.
    """

    stream: str
    column: str
    rows: int
    nulls: int

    @property
    def title(self) -> str:
        """The finding, in one line."""
        return f"nobody consents in stream {self.stream}"

    @property
    def text(self) -> str:
        """What the column holds, and what to do."""
        if self.nulls == self.rows:
            found, advice = "is null in all", "Check what fills the column."
        else:
            found = "holds no yes in any of"
            advice = "Check what fills the column, and whether `consent_values` has its word for yes."
        return (
            f"Column {self.column} (`consent_column`) {found} {several(self.rows, 'row', 'rows')}. "
            f"The people in these rows stay off the list until their own row consents. {advice}"
        )


@dataclass(slots=True)
class StreamTally:
    """The counts of one stream."""

    stream: str
    rows: int = 0
    deleted_rows: int = 0
    """Rows that the source deleted."""
    unmatched_deletes: int = 0
    """Deletes of rows that the ledger does not know."""
    received: int = 0
    """Values that were read, good or bad, except empty and opted out ones."""
    rejected: int = 0
    added: int = 0
    """Identities to add, once each."""
    unchanged: int = 0
    """Identities that were on the list already."""
    duplicates: int = 0
    """Identities that came again while they waited, or that a later record of the same row replaced."""
    refused: int = 0
    """Identities in rows that refuse them, or that another row refuses or holds out."""
    named_for_removal: int = 0
    held_out: int = 0
    """Identities in rows that are held out."""
    held_out_rows: int = 0
    consent_column: str | None = None
    answers: int = 0
    """Rows that are not deleted and have a consent column."""
    granted: int = 0
    """How many of these rows consent."""
    unanswered: int = 0
    """In how many of these rows the column is null."""
    usable: set[str] = field(default_factory=set)
    """The columns that had a good value."""
    shapes: dict[str, Counter[str]] = field(default_factory=dict)
    """Column without a good value → the descriptions of its first rejected values."""
    remarks: Counter[tuple[str, Remark]] = field(default_factory=Counter)
    """How often each remark was made about a column."""
    first_places: dict[tuple[str, Remark], Place] = field(default_factory=dict)
    """Where each remark was made first."""
    watched: dict[str, WatchedPath] = field(default_factory=dict)
    """The paths in the settings of which the SCHEMA says nothing."""
    warnings: set[str] = field(default_factory=set)
    """The warnings that were logged about the stream."""

    def add_outcomes(self, other: StreamTally) -> None:
        """Add the outcomes of another tally of the same stream."""
        self.added += other.added
        self.unchanged += other.unchanged
        self.duplicates += other.duplicates
        self.refused += other.refused
        self.named_for_removal += other.named_for_removal
        self.held_out += other.held_out
        self.unmatched_deletes += other.unmatched_deletes

    def count_answers(self, rows: int, granted: int, nulls: int = 0) -> None:
        """Count rows with a consent column.

        Args:
            rows: the number of rows.
            granted: how many of them consent.
            nulls: in how many of them the column is null.
        """
        self.answers += rows
        self.granted += granted
        self.unanswered += nulls

    @property
    def nobody_consents(self) -> NobodyConsents | None:
        """The finding that nobody consents, if more than a few people were asked; None if it does not apply."""
        if self.consent_column is None or self.granted or self.answers <= _FEW_ANSWERS:
            return None
        return NobodyConsents(self.stream, self.consent_column, self.answers, self.unanswered)

    def remark(self, column: str, remark: Remark, place: Place, values: int = 1) -> None:
        """Count a remark about values of a column, and record where it was made first."""
        self.remarks[column, remark] += values
        self.first_places.setdefault((column, remark), place)

    def reject(self, column: str, remark: Remark, place: Place) -> None:
        """Count a rejected identity."""
        self.received += 1
        self.rejected += 1
        self.remark(column, remark, place)

    def reject_late(self, column: str, reason: Remark, line: int, *, was_added: bool) -> None:
        """Count an identity that Pinterest refused, in place of its earlier outcome.

        Args:
            column: the column of the identity.
            reason: why it was refused.
            line: its line of the stream.
            was_added: whether it was to be added; else it was to be removed. Only some removals have been counted.
        """
        if was_added and self.added:
            self.added -= 1
        elif not was_added and self.named_for_removal:
            self.named_for_removal -= 1
        else:
            self.received += 1
        self.rejected += 1
        self.remark(column, reason, Place(line))

    @property
    def outcomes(self) -> dict[str, int]:
        """How many values had which outcome, by names for people."""
        return {
            "to add": self.added,
            "unchanged": self.unchanged,
            "duplicate": self.duplicates,
            "refused": self.refused,
            "named for removal": self.named_for_removal,
            "held out": self.held_out,
            "rejected": self.rejected,
        }

    @property
    def is_balanced(self) -> bool:
        """Whether every value has an outcome, as it must at the end of a run."""
        return self.received == sum(self.outcomes.values())

    def note_shape(self, column: str, value: object) -> None:
        """Describe a bad value, unless the column had good ones before."""
        if column not in self.usable:
            seen = self.shapes.setdefault(column, Counter())
            if sum(seen.values()) < _MOST_SHAPES:
                seen[shape_of(value)] += 1

    @property
    def rejects(self) -> Iterator[tuple[str, Remark, int]]:
        """The columns with rejected values, why the target rejected them, and how many; not Pinterest's refusals."""
        for (column, remark), count in self.remarks.items():
            if remark.rejects and remark not in _REFUSALS:
                yield column, remark, count
