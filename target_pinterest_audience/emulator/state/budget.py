"""Pinterest's budget of calls per minute."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from target_pinterest_audience.emulator.errors import RATE_LIMIT_EXCEEDED, ApiError
from target_pinterest_audience.emulator.settings import ResetForm
from target_pinterest_audience.emulator.state.operations import RateCategory

WINDOW_SECONDS: Final = 60


@dataclass(slots=True)
class _Window:
    """A minute of one category: when it began, by the emulator's clock, and the calls in it."""

    started: float
    spent: int = 0


class RateBudget:
    """Counts the calls of each category, in windows of a minute that begin with their first call."""

    def __init__(
        self, limits: Mapping[RateCategory, int], clock: Callable[[], float], reset_form: ResetForm = "seconds"
    ) -> None:
        """Start with full budgets.

        Args:
            limits: calls per minute of each category.
            clock: returns the Unix time in seconds.
            reset_form: the form of `x-ratelimit-reset`.
        """
        self._limits = limits
        self._reset_form = reset_form
        self._clock = clock
        self._windows: dict[RateCategory, _Window] = {}

    def spend(self, category: RateCategory) -> None:
        """Take one call out of a category's budget.

        Raises:
            ApiError: 429 code 8, the budget of this minute is spent.
        """
        window = self._current(category)
        if window is None:
            window = self._windows[category] = _Window(self._clock())
        if window.spent >= self._limits[category]:
            raise ApiError(429, RATE_LIMIT_EXCEEDED, "You have exceeded your rate limit. Try again later.")
        window.spent += 1

    def headers(self, category: RateCategory) -> dict[str, str]:
        """Return the rate-limit headers for an answer in a category.

        The limit is structured text, not an integer, as in live answers. `x-ratelimit-reset` is in seconds from now by
        default, because clients that are known to work read it that way.
        """
        limit = self._limits[category]
        window = self._current(category)
        remaining, reset = limit, 0.0
        if window is not None:
            remaining = limit - window.spent
            reset = window.started + WINDOW_SECONDS - self._clock()
        headers = {
            "x-ratelimit-limit": f'{limit}, {limit};w={WINDOW_SECONDS};name="{category}_app_id_user_id"',
            "x-ratelimit-remaining": str(remaining),
        }
        if self._reset_form != "absent":
            headers["x-ratelimit-reset"] = str(self._in_form(reset))
        return headers

    def _in_form(self, seconds: float) -> int:
        """Return the time until the reset in the form of the settings."""
        if self._reset_form == "window":
            return WINDOW_SECONDS
        if self._reset_form == "milliseconds":
            return math.ceil(seconds * 1000)
        return math.ceil(seconds + (self._clock() if self._reset_form == "epoch" else 0))

    def _current(self, category: RateCategory) -> _Window | None:
        """Return the current window; None if there is none."""
        window = self._windows.get(category)
        if window is None or self._clock() >= window.started + WINDOW_SECONDS:
            return None
        return window
