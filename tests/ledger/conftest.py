"""Ledgers in every database that can hold one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.open import open_ledger
from tests.support.account import ACCOUNT
from tests.support.ledgers import API, Opened, address
from tests.support.postgres import Database


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def postgres_url(database: Database) -> str:
    return address(database)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """The address of a ledger that does not exist yet."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def opened(url: str) -> Iterator[Opened]:
    """Open the ledger, any number of times; each is closed at the end, if not before."""
    with ExitStack() as stack:

        def opened(api: str = API, account: str = ACCOUNT, **options: Any) -> Ledger:
            return stack.enter_context(closing(open_ledger(url, api, account, **{"wait_seconds": 10.0, **options})))

        yield opened


@pytest.fixture
def ledger(opened: Opened) -> Ledger:
    return opened()
