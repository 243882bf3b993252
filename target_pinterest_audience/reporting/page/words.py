"""Numbers, moments and causes in words for people who do not read logs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Final

CAUSES: Final[Mapping[str, tuple[str, str]]] = {
    "delete": ("Deleted", "Their row was deleted in your data."),
    "change": ("Changed", "Their row is still there, but names another address or device now, or none."),
    "refusal": ("Refused", "They withdrew their consent, or are in a table of people to leave out."),
    "prune": ("No longer there", "A complete reading of the table did not find their row any more (prune)."),
    "clear": ("Cleared", "Somebody took everyone off the list (clear)."),
    "forget": ("Forgotten", "They asked to be forgotten (forget)."),
    "repeated": ("Removed once more", "An old request may have brought them back, so they were removed once more."),
    "unfinished": ("Left over", "A run that was cut short was about to remove them, and did not leave its reason."),
}
"""Cause → its name, and what it means."""

_SIZES: Final = ((1e9, "B"), (1e6, "M"), (1e5, "K"))
"""From which number on it is shown in how many thousands, and by which letter."""
_TWO_DAYS: Final = 2 * 86_400.0


def cause_name(cause: str) -> str:
    """Return the name of a cause; of one that this version does not know, its own."""
    return CAUSES[cause][0] if cause in CAUSES else cause


def short(number: float) -> str:
    """Return a number as the scale of a chart shows it."""
    for size, letter in _SIZES:
        if number >= size:
            divisor = 1e3 if letter == "K" else size
            return f"{number / divisor:.4g}{letter}"
    return f"{number:,.0f}" if number == int(number) else f"{number:.1f}"


def day(moment: float) -> str:
    """Return the day of a moment, given in seconds since 1970, in UTC."""
    return f"{_utc(moment):%d %b %Y}"


def minute(moment: float) -> str:
    """Return a moment to the minute, in UTC."""
    return f"{_utc(moment):%d %b %Y, %H:%M}"


def ends(first: float, last: float) -> tuple[str, str]:
    """Return two moments as exactly as the time between them asks for."""
    told = day if last - first >= _TWO_DAYS else minute
    return told(first), told(last)


def seconds(length: float) -> str:
    """Return a length of time."""
    if length < 60:  # noqa: PLR2004 - a minute
        return f"{length:.0f} s"
    minutes, rest = divmod(round(length), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _utc(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, timezone.utc)
