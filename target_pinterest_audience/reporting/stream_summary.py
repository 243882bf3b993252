"""The counts of one stream: as lines for the log, and as the part of the report file about the stream."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from target_pinterest_audience.identities.shapes import ARRAYS, JSON_TEXT
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.records.position import Place
from target_pinterest_audience.reporting.report_file import RemarkReport, StreamReport
from target_pinterest_audience.reporting.summary_line import SummaryLine
from target_pinterest_audience.text.counts import several

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue.runs import RejectCounts

_MANY_DELETES: Final = 10
"""With fewer deletes than this, it is no surprise that none of them matches a row."""

_FEW_ROWS: Final = 10
"""If no more rows than this lack a path, it may be right."""

_FEW_REJECTS: Final = 10
"""A column without a valid value gets a warning of its own only if more values than this were rejected, or if no
column of the stream has a valid value."""

_FOR_SHAPES: Final[Mapping[str, str]] = {
    JSON_TEXT: (
        "The target does not parse JSON inside text: have the tap send arrays or objects, or extract the values in the "
        "tap or in a stream map."
    ),
    ARRAYS: "The target does not take arrays in arrays apart: flatten them in the tap.",
}
"""What to do about values of a shape."""


def stream_lines(tally: StreamTally, rejects_before: RejectCounts) -> Iterator[SummaryLine]:
    """Yield the counts as lines for the log.

    A line about rejected values is a warning only if the last run rejected fewer: one that comes back each night is
    soon read no more.

    Args:
        tally: the counts.
        rejects_before: the values that the last run rejected.
    """
    stream = {"stream_name": tally.stream}
    yield SummaryLine(_counts(tally), {"summary": "stream", **stream, **_figures(tally)})
    refused = tally.nobody_consents
    warnings = [
        *_useless_deletes(tally),
        *_useless_columns(tally),
        *_unseen_paths(tally),
        *([f"{tally.stream}: nobody consents. {refused.text}"] if refused is not None else []),
    ]
    yield from (SummaryLine(text, stream, logging.WARNING) for text in warnings)
    for verdict, level, rejects in (("rejected", logging.WARNING, True), ("note", logging.INFO, False)):
        for each in _remarks(tally, rejects=rejects):
            first = Place(each.first_line, each.first_file_row)
            what = f"{each.count:,} in column {each.column}: {each.reason}"
            is_news = each.count > rejects_before.get((tally.stream, each.column, each.reason), 0)
            known = "; no more than in the last run" if rejects and not is_news else ""
            yield SummaryLine(
                f"{tally.stream}: {verdict}: {what} (first on {first}{known})",
                {"summary": verdict, **stream, **msgspec.structs.asdict(each)},
                level if is_news else logging.INFO,
            )


def _counts(tally: StreamTally) -> str:
    deleted = f", {tally.deleted_rows:,} of them marked as deleted" if tally.deleted_rows else ""
    if tally.unmatched_deletes:
        deleted += f" ({tally.unmatched_deletes:,} of rows that the ledger does not know)"
    if tally.held_out_rows:
        deleted += f", {tally.held_out_rows:,} held out"
    outcomes = ", ".join(f"{count:,} {name}" for name, count in tally.outcomes.items() if count)
    rows, values = several(tally.rows, "row", "rows"), several(tally.received, "value", "values")
    return f"{tally.stream}: {rows}{deleted}; {values}{f' ({outcomes})' if outcomes else ''}"


def _figures(tally: StreamTally) -> dict[str, int]:
    """Return the counts that are numbers, by the names that the report file gives them."""
    figures = msgspec.structs.asdict(report_of(tally))
    return {name: figure for name, figure in figures.items() if isinstance(figure, int)}


def _useless_deletes(tally: StreamTally) -> Iterator[str]:
    """Yield a sentence if many rows are deleted, and none of them is in the ledger."""
    if tally.deleted_rows >= _MANY_DELETES and tally.unmatched_deletes >= tally.deleted_rows:
        yield (
            f"{tally.stream}: none of the {tally.deleted_rows:,} deletes matched a row in the ledger. If this is "
            "new, the tap may write the key differently than before, or `removal_column` may mark the wrong rows."
        )


def _useless_columns(tally: StreamTally) -> Iterator[str]:
    """Yield a sentence for each column whose values were all rejected, except a few in a stream with good ones."""
    rejected: Counter[str] = Counter()
    for column, _, count in tally.rejects:
        rejected[column] += count
    for column, count in rejected.items():
        shapes = tally.shapes.get(column, Counter())
        says_nothing = bool(tally.usable) or not shapes
        if column in tally.usable or (count <= _FEW_REJECTS and says_nothing):
            continue
        all_values = f"all {several(count, 'value', 'values')} in column {column} were"
        what = all_values if count > 1 else f"the only value in column {column} was"
        yield f"{tally.stream}: {what} rejected. {_advice(shapes, count)}"


def _advice(shapes: Counter[str], count: int) -> str:
    """Return what rejected values are, and what to do."""
    if not shapes:
        return "The log lines about rejected values give the reasons."
    seen_in_all = sum(shapes.values())
    found = ", ".join(f"{shape} ({seen:,})" if len(shapes) > 1 else shape for shape, seen in shapes.most_common())
    first = f"The first {seen_in_all:,} are" if seen_in_all < count else "They are" if count > 1 else "Its kind is:"
    advice = "Check what the tap writes into the column, and the columns in `identity_columns`."
    return f"{first} {found}. {_FOR_SHAPES.get(shapes.most_common(1)[0][0], advice)}"


def _unseen_paths(tally: StreamTally) -> Iterator[str]:
    """Yield a sentence for each path of which the SCHEMA says nothing, and that no record had.

    A few records may lack a right one; and a mark is only in rows that are deleted.
    """
    for each in tally.watched.values():
        if each.is_seen or not each.rows:
            continue
        near = each.nearest(other for other in tally.watched.values() if other is not each)
        if near is None and (each.rows <= _FEW_ROWS or each.setting == "removal_column"):
            continue
        advice = f"but `{near}`, which may be meant" if near is not None else "and nothing like it"
        yield (
            f"{tally.stream}: no row had a value at {each.text}, which `{each.setting}` names. The records have no "
            f"`{each.missing}`, {advice}. Check the setting."
        )


def report_of(tally: StreamTally) -> StreamReport:
    """Return the counts as the report file has them."""
    return StreamReport(
        stream=tally.stream, rows=tally.rows, deleted_rows=tally.deleted_rows,
        unmatched_deletes=tally.unmatched_deletes, held_out_rows=tally.held_out_rows, received=tally.received,
        added=tally.added, unchanged=tally.unchanged, duplicate=tally.duplicates, refused=tally.refused,
        named_for_removal=tally.named_for_removal, held_out=tally.held_out, rejected=tally.rejected,
        rejects=_remarks(tally, rejects=True), notes=_remarks(tally, rejects=False),
    )  # fmt: skip


def _remarks(tally: StreamTally, *, rejects: bool) -> list[RemarkReport]:
    """Return the remarks about rejected values, or the other remarks, most frequent first."""
    found = [
        RemarkReport(column, remark.value, count, *tally.first_places[column, remark])
        for (column, remark), count in tally.remarks.items()
        if remark.rejects is rejects
    ]
    return sorted(found, key=lambda each: (-each.count, each.first_line, each.column))
