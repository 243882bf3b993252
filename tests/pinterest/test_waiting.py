"""How long a request waits: for a limit, before a retry, and as the headers say."""

from __future__ import annotations

import logging
from contextlib import suppress

import pytest

from target_pinterest_audience.pinterest.errors import (
    OutcomeUnclearError,
    RateLimitedError,
    UnavailableError,
)
from target_pinterest_audience.pinterest.rate_headers import seconds_to_wait
from target_pinterest_audience.pinterest.rate_limit import RateLimiter
from target_pinterest_audience.pinterest.request import Request
from target_pinterest_audience.pinterest.retry import RetryPolicy
from tests.support.waiting import Clock

NOW = 999_999_540.0
"""Sun, 09 Sep 2001 01:39:00 GMT."""


def test_requests_stay_within_the_remaining_limit(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    slept: list[float] = []
    limiter = RateLimiter(300, logging.getLogger("test"), clock, slept.append)
    write, read = Request("PATCH", "/lists/1"), Request("GET", "/lists")
    limit = '400, 400;w=60;name="x"'
    limiter.update(write, {"x-ratelimit-limit": limit, "x-ratelimit-remaining": "2", "x-ratelimit-reset": "30"})
    for _ in range(2):
        limiter.wait_for(write)
    assert slept == []
    clock.now = 10
    limiter.wait_for(write)
    limiter.wait_for(read)
    assert slept == [20]
    assert "Waiting 20.0 s before PATCH /lists/1" in caplog.text
    clock.now = 31
    limiter.wait_for(write)
    assert slept == [20]


@pytest.mark.parametrize(
    ("remaining", "reset"), [("0", "301"), ("", "5"), ("0", ""), ("many", "5"), ("0", "soon"), ("-1", "5"), ("0", "0")]
)
def test_the_limiter_does_not_wait_if_the_wait_is_too_long_or_unknown(remaining: str, reset: str) -> None:
    slept: list[float] = []
    limiter = RateLimiter(300, logging.getLogger("test"), Clock(), slept.append)
    request = Request("PATCH", "/lists/1")
    limiter.update(request, {"x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset})
    limiter.wait_for(request)
    assert slept == []


def test_retries_wait_longer_each_time_and_end() -> None:
    policy = RetryPolicy(retries=4, initial_seconds=1, max_seconds=5, connect_seconds=1, read_seconds=1)

    def waits(*errors: Exception) -> list[float]:
        taken = policy.waits(uniform=lambda _low, high: high)
        next(taken)
        result: list[float] = []
        with suppress(StopIteration):
            for error in errors:
                result.append(taken.send(error))  # noqa: PERF401 - the end of the generator must not lose the others
        return result

    unavailable, limited = UnavailableError("no"), RateLimitedError("wait", wait_seconds=None)
    assert waits(*[unavailable] * 9) == [1, 2, 4, 5]
    assert waits(*[limited] * 5) == [1, 2, 4, 5, 5]
    assert sum(waits(*[limited] * 9999)) <= 3600
    assert waits(*[RateLimitedError("wait", wait_seconds=0)] * 5) == [1, 2, 4, 5, 5]
    assert waits(*[RateLimitedError("wait", wait_seconds=3)] * 3) == [3, 3, 3]
    assert waits(RateLimitedError("wait", wait_seconds=6)) == []
    assert waits(OutcomeUnclearError("who knows")) == []


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After": "Sun, 09 Sep 2001 01:39:37 GMT"}, 37),
        ({"Retry-After": "Sun, 09 Sep 2001 01:38:00 GMT"}, 0),
        ({"Retry-After": "soon", "x-ratelimit-reset": "12"}, 12),
        ({"x-ratelimit-reset": "1000000777"}, 1_000_000_777 - NOW),
        ({"x-ratelimit-reset": "nan"}, None),
        ({"x-ratelimit-reset": "1e999"}, None),
        ({"Retry-After": "1000000777000", "x-ratelimit-reset": "12"}, 12),
        ({"x-ratelimit-limit": '100, 100;w=1;name="a", 1000;w=60;name="b"'}, 1),
        ({"x-ratelimit-limit": '1000,1000 ; w=60;name="b",100;w=1'}, 60),
        ({"x-ratelimit-limit": "1000, 1000;w=60", "x-ratelimit-reset": "12"}, 12),
        ({"x-ratelimit-limit": "5000"}, None),
        ({"x-ratelimit-limit": "many;w=soon, ;w=, 7"}, None),
        ({"Retry-After": "99999999999999999999999 GMT"}, None),
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:37 +9999999999999"}, None),
        ({}, None),
    ],
)
def test_the_wait_is_read_from_any_header_that_has_it(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds_to_wait(headers, NOW) == seconds
