"""The retry policy: backoff for temporary failures, waits for rate limits, and bounds for both together."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

from target_pinterest_audience.pinterest.errors import OutcomeUnclearError, RateLimitedError, UnavailableError

LONGEST_RATE_LIMIT_SECONDS: Final = 3600.0
"""How long one request of a run waits for rate limits in total, so that endless refusals come to an end."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to retry a request, and how long to wait.

    Attributes:
        retries: the most retries after temporary failures.
        initial_seconds: the bound of the random wait before the first retry; it doubles with each retry.
        max_seconds: the bound of any single wait.
        connect_seconds: how long to wait for a connection.
        read_seconds: how long to wait for the next bytes of a response.
        limited_seconds: how long one request waits for rate limits in total.
    """

    retries: int
    initial_seconds: float
    max_seconds: float
    connect_seconds: float
    read_seconds: float
    limited_seconds: float = LONGEST_RATE_LIMIT_SECONDS

    def waits(self, uniform: Callable[[float, float], float] = random.uniform) -> Generator[float, Exception, None]:
        """Receive the errors of one request one by one, and yield how many seconds to wait after each.

        The generator ends when the request should not be retried. A wait for a rate limit does not count as a retry,
        nor does it reset their count: a request that gets both errors in turn comes to an end.

        Args:
            uniform: returns a random number between two others, so that many clients do not retry at once.
        """
        error = yield 0
        retries = limits = 0
        waited_for_limits = 0.0
        while True:
            if isinstance(error, RateLimitedError):
                asked = error.wait_seconds
                # Obeying "at once" again and again would cause a storm of requests.
                wait = asked if asked is not None and asked >= self.initial_seconds else self._doubled(limits)
                limits += 1
                waited_for_limits += wait
                if wait > self.max_seconds or waited_for_limits > self.limited_seconds:
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
        """Return the initial wait, doubled so many times, within the bound."""
        # The exponent is bounded, too: 2.0 ** 1024 is an OverflowError.
        return min(self.initial_seconds * 2.0 ** min(times, 64), self.max_seconds)
