"""The rules that say which match rates are worth an alert. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.reporting.alerts.alert import Alert, Kind
from target_pinterest_audience.text.counts import several

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.history import MatchFigures

SETTLING_SECONDS: Final = 72 * 3_600.0
"""How long Pinterest takes to match people, with some patience: integrations report 24 to 48 hours, its guide to
audiences up to 72."""

_FEW: Final = 10
"""So few people less than expected are never worth an alert, however small the list is."""

_CAUSES: Final = (
    "Likely causes: the column holds digests of something other than the trimmed, lower-case address, the upper-case "
    "IDFA, the lower-case Android id, or the digits of the phone number with its country code; the digests were made "
    "with a salt, or with an algorithm other than SHA-256, SHA-1 or MD5; or the list has device ids only, and "
    "Pinterest does not know these devices. Send plain values and let the target hash them, with "
    "`hash_algorithm: sha256`, or correct the query."
)


class Matching(NamedTuple):
    """What the match rate of a list is made of, now and before.

    Attributes:
        rows: how many rows contribute to the list now; None if that is not known.
        matched: how many people Pinterest has matched now; None if it has not reported that.
        before: the same `SETTLING_SECONDS` ago; None if nothing was recorded by then.
        earlier: the same once more as long ago.
    """

    rows: int | None
    matched: int | None
    before: MatchFigures | None = None
    earlier: MatchFigures | None = None


def nobody_matched(command: str, list_id: str, label: str, matching: Matching) -> Alert | None:
    """Return the alert that Pinterest recognises no one of a list that has had people for three days."""
    rows, matched, before, _ = matching
    if matched != 0 or not rows or before is None or not before.contributing_rows or before.matched:
        return None
    title = f"{label}: Pinterest still recognises no one after three days"
    text = f"{several(rows, 'row contributes', 'rows contribute')} to it, and its audience has no one. {_CAUSES}"
    return Alert(command, Kind.NOBODY_MATCHED, list_id, title, text)


def match_dropped(command: str, list_id: str, label: str, matching: Matching, percent: int) -> Alert | None:
    """Return the alert that the match rate of a list fell.

    Pinterest follows the rows with a delay. So of the rows now and three days ago the lesser count applies today, and
    the greater one three days ago: neither a list that grew nor one that shrank looks like a drop.

    Args:
        command: the command that has ended.
        list_id: the list.
        label: what messages call the list.
        matching: its rows and matched people.
        percent: the share of the earlier match rate that may be lost.
    """
    rows, matched, before, earlier = matching
    if not rows or matched is None or before is None or not before.matched or not before.contributing_rows:
        return None
    rows_now = min(rows, before.contributing_rows)
    rows_before = max(before.contributing_rows, earlier.contributing_rows if earlier is not None else 0)
    # How many would be matched now at the rate of three days ago, and how many are: both times `rows_before`.
    expected, found = before.matched * rows_now, matched * rows_before
    if found * 100 >= expected * (100 - percent) or expected - found <= _FEW * rows_before:
        return None
    was, now = before.matched * 100 / rows_before, matched * 100 / rows_now
    title = f"{label}: the match rate fell from {was:,.0f} % to {now:,.0f} %"
    text = (
        f"Pinterest recognises {several(matched, 'person', 'people')} now and recognised {before.matched:,} three days "
        f"ago: their share of the rows fell by more than {percent} % (`notify_match_drop_percent`). Check whether the "
        "column still holds the same kind of values: digests that are made differently, invented addresses and a new "
        "source of rows all lower the rate."
    )
    return Alert(command, Kind.MATCH_DROPPED, list_id, title, text)
