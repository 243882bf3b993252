"""Operations of the emulator without a socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import requests

from target_pinterest_audience.emulator import Backend
from target_pinterest_audience.emulator.state.arguments import Arguments
from target_pinterest_audience.emulator.state.operations import OPERATIONS
from tests.support.account import ACCOUNT

NAMED = {operation.name: operation for operation in OPERATIONS}


def perform(
    backend: Backend, name: str, body: dict[str, Any] | None = None, query: dict[str, str] | None = None, **ids: str
) -> Any:
    return backend.perform(NAMED[name], Arguments({"ad_account_id": ACCOUNT, **ids}, query or {}, body))


def update(backend: Backend, list_id: str, **body: Any) -> Any:
    return perform(backend, "customer_lists/update", body, customer_list_id=list_id)


Api: TypeAlias = Callable[..., requests.Response]
