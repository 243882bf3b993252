"""Creating lists and audiences at Pinterest, where what was just created may not be visible yet.

Names are not unique there, so a blind retry of a request that creates something could create it twice.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from target_pinterest_audience.pinterest.errors import NotFoundError, OutcomeUnclearError
from target_pinterest_audience.pinterest.retry import RetryPolicy

T = TypeVar("T")

_LOOKUP_SECONDS: Final = (2.0, 4.0, 8.0, 16.0)
"""The waits before each lookup: Pinterest may still be creating the thing, or not list it yet."""

_NEW_FOR_SECONDS: Final = 120.0
"""For how long after its creation a list may be unknown to one of Pinterest's machines."""


@dataclass(slots=True)
class Attempts:
    """The requests that deliver one batch or create one thing.

    Attributes:
        unanswered: whether one of them got no clear answer, so that Pinterest may still carry it out.
    """

    unanswered: bool = False

    def note(self, *, unanswered: bool) -> None:
        """Record one more request."""
        self.unanswered = self.unanswered or unanswered


class Creation:
    """Creates each thing once, and waits until it can be used. Keeps no state, so threads can share it."""

    def __init__(
        self,
        policy: RetryPolicy,
        logger: logging.Logger,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create it; nothing is sent yet.

        Args:
            policy: limits the retries and the waits.
            logger: logs unclear outcomes and waits.
            sleep: waits for seconds.
            clock: monotonic time in seconds.
        """
        self._policy = policy
        self._logger = logger
        self._sleep = sleep
        self.clock = clock

    def create_once(self, create: Callable[[], T], find: Callable[[], T | None], attempts: Attempts) -> tuple[T, bool]:
        """Create a thing that must not exist twice.

        After an unclear outcome, look for it; create it again only if it stays missing.

        Args:
            create: sends the request.
            find: looks the thing up; returns None if it is not there.
            attempts: records unclear outcomes.

        Returns:
            The thing; and whether it was created by the last request, not found by a lookup.

        Raises:
            OutcomeUnclearError: the thing was still missing after the last retry.
            PinterestError: as `create` and `find`.
        """
        for retries_left in range(self._policy.retries, -1, -1):
            try:
                return create(), True
            except OutcomeUnclearError as unclear:  # noqa: PERF203 - one round is a request
                attempts.note(unanswered=True)
                self._logger.warning("%s Checking whether Pinterest carried it out.", unclear)
                found = self.look_again(find)
                if found is not None:
                    return found, False
                if not retries_left:
                    raise
        raise AssertionError  # pragma: no cover - the last round returns or raises

    def look_again(self, find: Callable[[], T | None]) -> T | None:
        """Look for a thing several times, with growing waits; return None if it stays missing."""
        for wait in _LOOKUP_SECONDS:
            self._sleep(min(wait, self._policy.max_seconds))
            found = find()
            if found is not None:
                return found
        return None

    def retry_while_new(
        self, request: Callable[[], T], name: object, created_at: float | None, attempts: Attempts
    ) -> T:
        """Send a request about a list, again as long as Pinterest may not find the list because it is new.

        Args:
            request: sends the request.
            name: the name of the list, for the log.
            created_at: when the list was created, by the clock; None if that is not recent.
            attempts: records attempts without a clear answer.

        Raises:
            NotFoundError: Pinterest does not find the list, and it is not new.
            PinterestError: as `request`.
        """
        for wait in self._waits_while_new(created_at):
            try:
                return request()
            except NotFoundError as error:  # noqa: PERF203 - one round is a request
                if wait is None:
                    raise
                attempts.note(unanswered=error.unanswered)
                self._logger.info("%s was just created and cannot be found yet.", name)
                self._sleep(wait)
        raise AssertionError  # pragma: no cover - the waits end with None

    def _waits_while_new(self, created_at: float | None) -> Iterator[float | None]:
        """Yield the wait after each attempt that does not find the list; None once the list is not new any more."""
        for wait in itertools.chain(_LOOKUP_SECONDS, itertools.repeat(_LOOKUP_SECONDS[-1])):
            is_new = created_at is not None and self.clock() + wait - created_at <= _NEW_FOR_SECONDS
            yield min(wait, self._policy.max_seconds) if is_new else None
