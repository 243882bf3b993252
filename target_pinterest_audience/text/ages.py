"""Times as people say them: how long ago. Pure."""

from __future__ import annotations

from typing import Final

from target_pinterest_audience.text.counts import several

_MINUTE: Final = 60
_DAY: Final = 86_400
_STEPS: Final = (
    (730 * _DAY, 365.25 * _DAY, "year"),
    (60 * _DAY, 30.44 * _DAY, "month"),
    (2 * _DAY, _DAY, "day"),
    (60 * _MINUTE, 60 * _MINUTE, "hour"),
    (_MINUTE, _MINUTE, "minute"),
)
"""From how many seconds on a unit is used, its length in seconds, and its name; longest first."""


def age(seconds: float) -> str:
    """Return how long ago something was, such as `3 hours ago`.

    Args:
        seconds: how long ago it was; negative if it is still to come, or if two clocks differ.
    """
    for least, length, unit in _STEPS:
        if abs(seconds) >= least:
            count = several(int(abs(seconds) / length), unit, f"{unit}s")
            return f"{count} ago" if seconds > 0 else f"in {count}"
    return "just now"
