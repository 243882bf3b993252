"""The SDK's own suite for targets."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from singer_sdk.testing import get_target_test_class

from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.singer.target import TargetPinterestAudience
from tests.support.account import ACCOUNT, TOKEN

CONFIG: dict[str, Any] = {
    "ad_account_id": ACCOUNT,
    "access_token": TOKEN,
    "load_method": "append-only",
    # Only one of the suite's streams has addresses.
    "unmapped_streams": "warn",
}

SdkSuite = get_target_test_class(TargetPinterestAudience, config=CONFIG)


class TestTarget(SdkSuite):  # type: ignore[misc, valid-type]
    """Every test of the SDK, against an emulator."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def emulator_in_config(cls) -> Iterator[None]:
        with Emulator(access_token=TOKEN, ad_account_id=ACCOUNT) as emulator:
            CONFIG["api_url"] = emulator.url
            yield

    def test_target_invalid_schema(self) -> None:
        """The SDK calls a schema without properties invalid. It is valid JSON Schema, and some taps write it."""
        message = {"type": "SCHEMA", "stream": "events", "schema": {"type": "object"}, "key_properties": []}
        target = TargetPinterestAudience(config=CONFIG)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            target.listen(iter([json.dumps(message) + "\n"]))  # type: ignore[arg-type]
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
