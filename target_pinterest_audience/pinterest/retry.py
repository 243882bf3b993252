"""How long a request is worth waiting for: one account for passing failures and rate limits together."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

from target_pinterest_audience.pinterest.errors import OutcomeUnclearError, RateLimitedError, UnavailableError

_LONGEST_RATE_LIMIT_SECONDS: Final = 3600.0
"""How long one request waits for rate limits in all: an answer that never lets us in must come to an end."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, and how often.

    Attributes:
        retries: how often a request is tried again after a passing failure.
        initial_seconds: the bound of the random wait before the first retry; it doubles with each.
        max_seconds: the bound of any single wait.
        connect_seconds: how long to wait for a connection.
        read_seconds: how long to wait for the next bytes of an answer.
    """

    retries: int
    initial_seconds: float
    max_seconds: float
    connect_seconds: float
    read_seconds: float

    def waits(self, uniform: Callable[[float, float], float] = random.uniform) -> Generator[float, Exception, None]:
        """Take the errors of one request, one after the other, and yield how many seconds to wait after each.

        Ends when the error is not worth another try. Waiting for a rate limit is no retry, but neither does it give
        the retries back: a request that ends in both by turns comes to an end.

        Args:
            uniform: a random number between two others, so that many clients do not come back at once.
        """
        error = yield 0
        retries = limits = 0
        waited_for_limits = 0.0
        while True:
            if isinstance(error, RateLimitedError):
                told = error.wait_seconds
                # "At once" again and again would be a storm of requests.
                wait = told if told is not None and told >= self.initial_seconds else self._doubled(limits)
                limits += 1
                waited_for_limits += wait
                if wait > self.max_seconds or waited_for_limits > _LONGEST_RATE_LIMIT_SECONDS:
                    return
            elif isinstance(error, UnavailableError) and not isinstance(error, OutcomeUnclearError):
                if retries == self.retries:
                    return
                wait = uniform(0, self._doubled(retries))
                retries += 1
            else:
                return
            error = yield wait

    def _doubled(self, times: int) -> float:
        """Return the first wait, doubled so many times, within the bound."""
        # The exponent is bounded too: 2.0 ** 1024 is an OverflowError.
        return min(self.initial_seconds * 2.0 ** min(times, 64), self.max_seconds)
