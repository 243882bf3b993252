"""An emulator on a socket, and a way to call it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from target_pinterest_audience.emulator import Backend, Emulator
from tests.support.operations import Api
from tests.support.waiting import Clock


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(uploads="open") as running:
        yield running


@pytest.fixture
def api(emulator: Emulator) -> Iterator[Api]:
    """Call the emulator over one connection: `api("GET", "/customer_lists")` is below the ad account."""
    with requests.Session() as session:
        session.headers["Authorization"] = "Bearer emulator-token"

        def call(method: str, path: str, body: object = None, **options: Any) -> requests.Response:
            url = f"{emulator.url}/ad_accounts/549755885175{path}"
            return session.request(method, url, json=body, **{"timeout": 10, **options})

        yield call


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = 1_790_000_000.0
    return clock


@pytest.fixture
def backend(clock: Clock) -> Backend:
    return Backend(clock=clock)
