"""What a run or command sent to each customer list: as sentences for people, and as fields of log records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from target_pinterest_audience.reporting.summary_line import SummaryLine
from target_pinterest_audience.routing.orders import ListReport, name_list
from target_pinterest_audience.text.counts import identities, several
from target_pinterest_audience.vocabulary import describe_causes

_MOST_SENTENCES: Final = 20
"""How many lists get a sentence of their own."""


def list_lines(reports: Iterable[ListReport], *, dry: bool) -> list[SummaryLine]:
    """Return a line for each list; of very many, for the busiest ones, and one for all the others.

    Args:
        reports: what was sent to each list.
        dry: whether this was a dry run, so that nothing was sent.
    """
    all_lists = list(reports)
    if len(all_lists) <= _MOST_SENTENCES:
        return [_line(each, dry=dry) for each in all_lists]
    by_size = sorted(all_lists, key=lambda each: -(each.added + each.removed + each.refused + each.left_out))
    rest = by_size[_MOST_SENTENCES:]
    added, removed = sum(each.added for each in rest), sum(each.removed for each in rest)
    more = several(len(rest), "more customer list", "more customer lists")
    total = f"{'would send' if dry else 'sent'} {identities(added)} to add, {removed:,} to remove"
    return [
        *(_line(each, dry=dry) for each in by_size[:_MOST_SENTENCES]),
        SummaryLine(
            f"{more}: {total}. Set `report_path` to get the figures of each list.",
            {"summary": "other_lists", "dry_run": dry, "lists": len(rest), "added": added, "removed": removed},
        ),
    ]


def list_sentences(reports: Iterable[ListReport], *, dry: bool) -> list[str]:
    """Return the sentences of `list_lines`, for a command that prints them."""
    return [line.text for line in list_lines(reports, dry=dry)]


def _line(report: ListReport, *, dry: bool) -> SummaryLine:
    figures = msgspec.structs.asdict(report)
    # `name` is a field that every log record has.
    figures["customer_list_name"] = figures.pop("name")
    return SummaryLine(_sentence(report, dry=dry), {"summary": "list", "dry_run": dry, **figures})


def _sentence(report: ListReport, *, dry: bool) -> str:
    name = name_list(report)
    reasons = f" ({describe_causes(report.removals)})" if report.removals else ""
    counts = f"{identities(report.added)} to add, {report.removed:,} to remove{reasons}"
    if report.refused:
        counts += f"; refused by Pinterest: {report.refused:,}"
    if report.left_out:
        counts += f"; skipped, because the list did not exist: {report.left_out:,}"
    counts += f"; requests: {report.requests:,}"
    if report.members is not None:
        counts += f"; members {'then' if dry else 'now'}: {report.members:,}"
    return f"{name}: dry run, nothing was sent: would send {counts}" if dry else f"{name}: sent {counts}"
