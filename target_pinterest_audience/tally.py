"""What is counted during a run, and how it is told at the end. Nothing here ever sees a value."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from target_pinterest_audience.audit import told
from target_pinterest_audience.counts import identities, several
from target_pinterest_audience.identities import Remark
from target_pinterest_audience.membership import Cause
from target_pinterest_audience.places import Place
from target_pinterest_audience.report import ListReport, RemarkReport, StreamReport
from target_pinterest_audience.shapes import shape_of

_MANY_DELETES: Final = 10
"""From how many deletes on it is odd that none of them meets a row."""

_MOST_LISTS_TOLD: Final = 20
"""How many lists are told of one by one."""

_FEW_REJECTS: Final = 10
"""So many values of a column may be rejected, and none be good, with no more said than why."""

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
    def _outcomes(self) -> dict[str, int]:
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
        return self.received == sum(self._outcomes.values())

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the counts as sentences, each with its log level."""
        deleted = f", {self.deleted_rows:,} of them marked as deleted" if self.deleted_rows else ""
        if self.unmatched_deletes:
            deleted += f" ({self.unmatched_deletes:,} of rows that the ledger does not know)"
        outcomes = ", ".join(f"{count:,} {name}" for name, count in self._outcomes.items() if count)
        rows, values = several(self.rows, "row", "rows"), several(self.received, "value", "values")
        yield logging.INFO, f"{self.stream}: {rows}{deleted}; {values} ({outcomes or '-'})"
        if self.deleted_rows >= _MANY_DELETES and self.unmatched_deletes >= self.deleted_rows:
            yield (
                logging.WARNING,
                (
                    f"{self.stream}: not one of {self.deleted_rows:,} deletes met a row that the ledger knows. If "
                    "that is new, the tap may write the key in another way than before, or `removal_column` marks the "
                    "wrong rows."
                ),
            )
        yield from ((logging.WARNING, words) for words in self._useless_columns())
        refused = self.nobody_consents
        if refused is not None:
            yield logging.WARNING, f"{self.stream}: nobody consents. {refused.text}"
        for verdict, level, rejects in (("rejected", logging.WARNING, True), ("note", logging.INFO, False)):
            for each in self._remarks(rejects=rejects):
                first = Place(each.first_line, each.first_file_row)
                what = f"{each.count:,} in column {each.column}: {each.reason}"
                yield level, f"{self.stream}: {verdict}: {what} (first on {first})"

    def note_shape(self, column: str, value: object) -> None:
        """Note what a value looks like that is rejected for itself, unless the column had good ones before."""
        if column not in self.usable:
            seen = self.shapes.setdefault(column, Counter())
            if sum(seen.values()) < _LOOKED_AT:
                seen[shape_of(value)] += 1

    def _useless_columns(self) -> Iterator[str]:
        """Yield a sentence for each column of which more than a few values came, and all were rejected."""
        rejected: Counter[str] = Counter()
        for column, _, count in self.rejects:
            rejected[column] += count
        for column, count in rejected.items():
            if column in self.usable or count <= _FEW_REJECTS:
                continue
            shapes = self.shapes.get(column, Counter())
            seen_in_all = sum(shapes.values())
            told = ", ".join(
                f"{shape} ({seen:,})" if len(shapes) > 1 else shape for shape, seen in shapes.most_common()
            )
            first = f"The first {seen_in_all:,} are" if seen_in_all < count else "They are"
            what = (
                f"{first} {told}. Check what the tap writes into the column, and the columns in `identity_columns`."
                if told
                else "The lines about rejected values say why."
            )
            yield f"{self.stream}: all {several(count, 'value', 'values')} in column {column} were rejected. {what}"

    def report(self) -> StreamReport:
        """Return the counts for machines."""
        return StreamReport(
            stream=self.stream, rows=self.rows, deleted_rows=self.deleted_rows,
            unmatched_deletes=self.unmatched_deletes, received=self.received,
            added=self.added, unchanged=self.unchanged, duplicate=self.duplicates, refused=self.refused,
            named_for_removal=self.named_for_removal, rejected=self.rejected,
            rejects=self._remarks(rejects=True), notes=self._remarks(rejects=False),
        )  # fmt: skip

    @property
    def rejects(self) -> Iterator[tuple[str, Remark, int]]:
        """The columns of rejected values, why they were rejected before anything was sent, and how many."""
        for (column, remark), count in self.remarks.items():
            if remark.rejects and remark is not Remark.REFUSED_BY_PINTEREST:
                yield column, remark, count

    def _remarks(self, *, rejects: bool) -> list[RemarkReport]:
        """Return what was said of rejected values, or else of others, the most frequent first."""
        found = [
            RemarkReport(column, remark.value, count, *self.first_places[column, remark])
            for (column, remark), count in self.remarks.items()
            if remark.rejects is rejects
        ]
        return sorted(found, key=lambda each: (-each.count, each.first_line, each.column))


class RefusedMembers(NamedTuple):
    """A list that so many members left by refusals, in one run, that a person should look.

    Attributes:
        list_id: its id at Pinterest; empty if it is not created yet.
        label: the list for people.
        members: how many members it had when the run began.
        refused: how many of them left by refusals.
    """

    list_id: str
    label: str
    members: int
    refused: int

    def told(self, *, dry: bool = False) -> str:
        """Return what happened and what to do as sentences.

        Args:
            dry: whether it only would have happened.
        """
        return (
            f"{self.refused:,} of the {self.members:,} members of {self.label} {'would leave' if dry else 'left'} in "
            "this run because rows refuse them (`consent_column`, or a stream with `operation: remove`). Refusals have "
            "no ceiling. Check that column and that stream. Somebody who was refused by mistake returns when the same "
            "row consents again, or when their row in the stream with `operation: remove` is deleted."
        )


@dataclass(slots=True)
class ListTally:
    """The counts of one list."""

    added: int = 0
    removed: int = 0
    needless: int = 0
    """Identities for a list that does not exist and is not to be made."""
    refused: int = 0
    """Identities that Pinterest refused one by one."""
    requests: int = 0
    """Requests that Pinterest accepted."""
    causes: Counter[Cause] = field(default_factory=Counter)
    """Why identities were removed."""


def tell_lists(reports: Iterable[ListReport], *, dry: bool) -> list[str]:
    """Tell what became of lists; of very many, those to which most was sent, and the others together.

    Args:
        reports: what was sent.
        dry: whether it only would have been.
    """
    all_lists = list(reports)
    if len(all_lists) <= _MOST_LISTS_TOLD:
        return [tell_list(each, dry=dry) for each in all_lists]
    by_size = sorted(all_lists, key=lambda each: -(each.added + each.removed + each.refused + each.left_out))
    rest = by_size[_MOST_LISTS_TOLD:]
    added, removed = sum(each.added for each in rest), sum(each.removed for each in rest)
    more = several(len(rest), "more customer list", "more customer lists")
    together = f"{'would send' if dry else 'sent'} {identities(added)} to add, {removed:,} to remove"
    return [
        *(tell_list(each, dry=dry) for each in by_size[:_MOST_LISTS_TOLD]),
        f"{more}: {together}. `report_path` has each of them.",
    ]


def name_list(report: ListReport) -> str:
    """Return what people know a list by."""
    known = report.customer_list_id is not None
    return f'customer list "{report.name}" (id {report.customer_list_id})' if known else report.chosen_by


def tell_list(report: ListReport, *, dry: bool) -> str:
    """Tell what became of a list as one sentence.

    Args:
        report: what was sent.
        dry: whether it only would have been.
    """
    name = name_list(report)
    why = f" ({told(report.removals)})" if report.removals else ""
    counts = f"{identities(report.added)} to add, {report.removed:,} to remove{why}"
    if report.refused:
        counts += f"; refused by Pinterest: {report.refused:,}"
    if report.left_out:
        counts += f"; left out, since the list did not exist: {report.left_out:,}"
    counts += f"; requests: {report.requests:,}"
    if report.members is not None:
        counts += f"; members {'then' if dry else 'now'}: {report.members:,}"
    return f"{name}: dry run, nothing was sent: would send {counts}" if dry else f"{name}: sent {counts}"
