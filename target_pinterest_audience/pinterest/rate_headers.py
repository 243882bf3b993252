"""Reads from a response's headers how long to wait. The headers come in several forms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Final

_EPOCH_FLOOR: Final = 1e9
"""A number above this is a Unix time, below it a number of seconds: both are reported to occur."""

_LONGEST_SECONDS: Final = 366 * 86_400.0
"""A longer wait must be a misunderstanding, such as a Unix time in milliseconds."""

_BUCKET: Final = re.compile(r"(\d{1,9})\s*;\s*w=(\d{1,6})\b")


def seconds_to_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Read `Retry-After`, else `x-ratelimit-reset`, else the window in `x-ratelimit-limit`.

    Args:
        headers: the response's headers; a lookup ignores case.
        now: Unix time in seconds.

    Returns:
        Seconds, never negative; None if no header has a plausible value.
    """
    seconds = _read(headers, "Retry-After", now)
    if seconds is None:
        seconds = seconds_until_reset(headers, now)
    return seconds if seconds is not None else _window(headers.get("x-ratelimit-limit", ""))


def seconds_until_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Read `x-ratelimit-reset` alone.

    Args:
        headers: the response's headers; a lookup ignores case.
        now: Unix time in seconds.

    Returns:
        Seconds, never negative; None if the header has no plausible value.
    """
    return _read(headers, "x-ratelimit-reset", now)


def _read(headers: Mapping[str, str], name: str, now: float) -> float | None:
    text = headers.get(name, "").strip()
    seconds = _parse(text, now) if text else None
    return max(0.0, seconds) if seconds is not None and seconds <= _LONGEST_SECONDS else None


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
    # NaN fails the comparison, too.
    return (number - now if number > _EPOCH_FLOOR else number) if abs(number) < float("inf") else None


def _window(limit: str) -> float | None:
    """Return the length in seconds of the window that is used up.

    Pinterest's header begins with the limit of the bucket that is closest to it, followed by all buckets:
    `100, 100;w=1;name="a", 1000;w=60;name="b"` (two projects measured it).
    """
    closest = limit.partition(",")[0].strip()
    return next((float(seconds) for number, seconds in _BUCKET.findall(limit) if number == closest), None)
