"""Clients of the emulator."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.pinterest.retry import RetryPolicy
from target_pinterest_audience.pinterest.token_store import CredentialsFile
from target_pinterest_audience.pinterest.tokens import Credentials, SignIn
from target_pinterest_audience.pinterest.transport import Transport
from tests.support.account import TOKEN

OAUTH = {"client_id": "emulator-app", "client_secret": "emulator-secret", "refresh_token": "emulator-refresh"}


LOGGER = logging.getLogger("test-pinterest")


def transport(emulator: Emulator, **changes: Any) -> Transport:
    patience = {"retries": 2, "initial_seconds": 0.001, "max_seconds": 2.0, "connect_seconds": 5, "read_seconds": 5}
    return Transport(emulator.url, RetryPolicy(**{**patience, **changes}), user_agent="test/1", logger=LOGGER)


def credentials(emulator: Emulator, folder: Path, **changes: Any) -> Credentials:
    settings: dict[str, Any] = {"access_token": TOKEN, "logger": logging.getLogger("test"), **changes}
    sign_in = SignIn.of(*(settings.pop(name, None) for name in OAUTH))
    return Credentials(transport(emulator), CredentialsFile(folder / "credentials.json"), sign_in=sign_in, **settings)
