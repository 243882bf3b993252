"""Delays requests to stay within Pinterest's rate limits, as its responses report them."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.pinterest.rate_headers import seconds_until_reset

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.request import Request


_COUNT: Final = re.compile(r"[0-9]{1,9}").fullmatch


@dataclass(slots=True)
class _Left:
    requests: int
    resets_at: float


class RateLimiter:
    """Delays requests once a rate limit is used up, for all threads of a process together.

    Pinterest counts reads and writes separately. Each response says how many requests are left and when the limit is
    reset (`x-ratelimit-remaining`, `x-ratelimit-reset`).
    """

    def __init__(
        self,
        most_seconds: float,
        logger: logging.Logger,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """Create it without known limits.

        Args:
            most_seconds: the longest wait. A request that would wait longer is sent at once, and Pinterest decides.
            logger: logs waits.
            clock: Unix time in seconds, to read headers.
            sleep: waits for seconds.
        """
        self._most_seconds = most_seconds
        self._logger = logger
        self._clock = clock
        self._sleep = sleep
        self._left: dict[str, _Left] = {}
        self._lock = threading.Lock()

    def wait_for(self, request: Request) -> None:
        """Wait until a request may be sent."""
        wait = self._take(request.kind)
        if wait > 0:
            self._logger.info("Pinterest's rate limit is used up. Waiting %.1f s before %s.", wait, request)
            self._sleep(wait)

    def update(self, request: Request, headers: Mapping[str, str]) -> None:
        """Record what a response's headers say is left."""
        now = self._clock()
        seconds = seconds_until_reset(headers, now)
        remaining = headers.get("x-ratelimit-remaining", "").strip()
        if seconds is None or not _COUNT(remaining):
            return
        with self._lock:
            self._left[request.kind] = _Left(int(remaining), now + seconds)

    def _take(self, kind: str) -> float:
        """Count one request, and return for how many seconds it must wait."""
        with self._lock:
            left, now = self._left.get(kind), self._clock()
            if left is None or now >= left.resets_at or left.resets_at - now > self._most_seconds:
                return 0.0
            left.requests -= 1
            return left.resets_at - now if left.requests < 0 else 0.0
