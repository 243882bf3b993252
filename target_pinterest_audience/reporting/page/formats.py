"""Numbers, times and durations as the page shows them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Final

_SIZES: Final = ((1e9, "B"), (1e6, "M"), (1e5, "K"))
"""The smallest number that is shortened, and the letter that it gets."""
_TWO_DAYS: Final = 2 * 86_400.0


def short(number: float) -> str:
    """Return a number as the scale of a chart shows it, such as `1.2M`."""
    for size, letter in _SIZES:
        if number >= size:
            divisor = 1e3 if letter == "K" else size
            return f"{number / divisor:.4g}{letter}"
    return f"{number:,.0f}" if number == int(number) else f"{number:.1f}"


def capitalised(words: str) -> str:
    """Return words as the beginning of a sentence."""
    return words[:1].upper() + words[1:]


def day(at: float) -> str:
    """Return the day of a Unix time, in UTC."""
    return f"{_utc(at):%d %b %Y}"


def short_day(at: float) -> str:
    """Return the day of a recent Unix time without its year, in UTC."""
    return f"{_utc(at):%d %b}"


def minute(at: float) -> str:
    """Return a Unix time to the minute, in UTC."""
    return f"{_utc(at):%d %b %Y, %H:%M}"


def ends(first: float, last: float) -> tuple[str, str]:
    """Return the two ends of a time span: as days if it is long, else to the minute."""
    shown = day if last - first >= _TWO_DAYS else minute
    return shown(first), shown(last)


def duration(seconds: float) -> str:
    """Return a duration, such as `2 h 5 min`."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, timezone.utc)
