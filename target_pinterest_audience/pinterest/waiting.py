"""How long an answer asks us to wait, read from headers that come in several forms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime

_EPOCH_FLOOR = 1e9
"""A number above this is a moment in Unix time, below it a number of seconds: both are reported to occur."""


def seconds_to_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Read `Retry-After`, else `x-ratelimit-reset`.

    Args:
        headers: the answer's headers, looked up in any case.
        now: the current Unix time in seconds.

    Returns:
        Seconds, never negative; None if no header says anything that can be read.
    """
    seconds = _read(headers, "Retry-After", now)
    return seconds if seconds is not None else seconds_until_reset(headers, now)


def seconds_until_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Read `x-ratelimit-reset` alone, in the same way."""
    return _read(headers, "x-ratelimit-reset", now)


def _read(headers: Mapping[str, str], name: str, now: float) -> float | None:
    text = headers.get(name, "").strip()
    seconds = _parse(text, now) if text else None
    return max(0.0, seconds) if seconds is not None else None


def _parse(text: str, now: float) -> float | None:
    try:
        number = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=timezone.utc)
            return moment.timestamp() - now
        except (ValueError, OverflowError):
            return None
    if number != number:  # noqa: PLR0124 - only NaN differs from itself
        return None
    return number - now if number > _EPOCH_FLOOR else number
