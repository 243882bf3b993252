"""What is counted during a run, and how it is told at the end. Nothing here ever sees a value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from target_pinterest_audience.routing.orders import ListReport, name_list
from target_pinterest_audience.text.counts import identities, several
from target_pinterest_audience.vocabulary import describe_causes

_MOST_LISTS_TOLD: Final = 20
"""How many lists are told of one by one."""


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


def tell_list(report: ListReport, *, dry: bool) -> str:
    """Tell what became of a list as one sentence.

    Args:
        report: what was sent.
        dry: whether it only would have been.
    """
    name = name_list(report)
    why = f" ({describe_causes(report.removals)})" if report.removals else ""
    counts = f"{identities(report.added)} to add, {report.removed:,} to remove{why}"
    if report.refused:
        counts += f"; refused by Pinterest: {report.refused:,}"
    if report.left_out:
        counts += f"; left out, since the list did not exist: {report.left_out:,}"
    counts += f"; requests: {report.requests:,}"
    if report.members is not None:
        counts += f"; members {'then' if dry else 'now'}: {report.members:,}"
    return f"{name}: dry run, nothing was sent: would send {counts}" if dry else f"{name}: sent {counts}"
