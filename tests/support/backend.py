"""Sign-in at the emulator, without a socket."""

from __future__ import annotations

from typing import Any

from target_pinterest_audience.emulator import ApiError, Backend
from target_pinterest_audience.emulator.state.arguments import Arguments
from target_pinterest_audience.emulator.state.credentials import Client
from tests.support.operations import NAMED

APP = Client("emulator-app", "emulator-secret")


def token(backend: Backend, client: Client | None = APP, **form: str) -> Any:
    return backend.perform(NAMED["oauth/token"], Arguments({}, {}, dict(form), client))


def admitted(backend: Backend, bearer: str | None) -> tuple[int, int]:
    try:
        backend.admit(NAMED["ad_accounts/get"], bearer)
    except ApiError as error:
        return error.status, error.code
    return 200, 0
