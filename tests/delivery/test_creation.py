"""Things that must not exist twice are created once, and a new list is given time to appear."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from target_pinterest_audience.delivery.creation import Attempts, Creation
from target_pinterest_audience.pinterest.errors import NotFoundError, OutcomeUnclearError, PinterestError
from target_pinterest_audience.pinterest.retry import RetryPolicy
from tests.support.waiting import Clock

POLICY = RetryPolicy(retries=2, initial_seconds=1, max_seconds=5, connect_seconds=1, read_seconds=1)


class Waiting:
    """Time that passes only while something sleeps."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.waits: list[float] = []
        self.creation = Creation(POLICY, logging.getLogger("test"), sleep=self.sleep, clock=self.clock)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.now += seconds


def unclear() -> str:
    msg = "no answer"
    raise OutcomeUnclearError(msg)


def script(*outcomes: str | PinterestError) -> Callable[[], str]:
    """Return a request with these outcomes, one after the other."""
    left = iter(outcomes)

    def request() -> str:
        outcome = next(left)
        if isinstance(outcome, PinterestError):
            raise outcome
        return outcome

    return request


def missing() -> str:
    msg = "not found"
    raise NotFoundError(msg)


def test_a_clear_outcome_of_a_creation_needs_no_lookup() -> None:
    attempts, time = Attempts(), Waiting()
    assert time.creation.create_once(lambda: "made", lambda: None, attempts) == ("made", True)
    assert (attempts.unanswered, time.waits) == (False, [])


def test_after_an_unclear_outcome_a_lookup_prevents_a_second_creation() -> None:
    attempts, time = Attempts(), Waiting()
    looks = iter([None, None, "found"])
    assert time.creation.create_once(unclear, lambda: next(looks), attempts) == ("found", False)
    assert (attempts.unanswered, time.waits) == (True, [2, 4, 5])


def test_a_creation_is_repeated_if_the_lookup_finds_nothing() -> None:
    attempts, time = Attempts(), Waiting()
    create = script(OutcomeUnclearError("no answer"), "made")
    assert time.creation.create_once(create, lambda: None, attempts) == ("made", True)
    assert (attempts.unanswered, time.waits) == (True, [2, 4, 5, 5])


def test_the_last_retry_raises() -> None:
    attempts, time = Attempts(), Waiting()
    with pytest.raises(OutcomeUnclearError):
        time.creation.create_once(unclear, lambda: None, attempts)
    assert time.waits == [2, 4, 5, 5] * 3


def test_a_new_list_is_given_two_minutes_to_appear() -> None:
    time = Waiting()
    with pytest.raises(NotFoundError):
        time.creation.retry_while_new(missing, "the list", 0.0, Attempts())
    assert time.waits[:4] == [2, 4, 5, 5]
    assert 100 <= time.clock.now <= 120


def test_an_old_list_that_is_missing_is_not_waited_for() -> None:
    time = Waiting()
    with pytest.raises(NotFoundError):
        time.creation.retry_while_new(missing, "the list", None, Attempts())
    assert time.waits == []


@pytest.mark.parametrize("unanswered", [True, False])
def test_an_attempt_without_an_answer_is_remembered(*, unanswered: bool) -> None:
    error = NotFoundError("not found")
    error.unanswered = unanswered

    attempts = Attempts()
    assert Waiting().creation.retry_while_new(script(error, "done"), "the list", 0.0, attempts) == "done"
    assert attempts.unanswered is unanswered
