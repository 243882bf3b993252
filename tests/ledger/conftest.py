"""Ledgers in every database that can hold one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.open import open_ledger
from tests.conftest import ACCOUNT, environment
from tests.integration.conftest import database, postgres_server
from tests.integration.postgres import Database

__all__ = ["database", "postgres_server"]

API = "https://api.example.com/v5"

Opened = Callable[..., Ledger]
"""What the fixture `opened` is."""


def address(database: Database) -> str:
    return f"postgresql://{database.user}:{database.password}@{database.host}:{database.port}/{database.name}"


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


_PROLOGUE = f"""
import os, sys, time
from target_pinterest_audience.ledger.open import open_ledger
ledger = open_ledger(sys.argv[1], {API!r}, {ACCOUNT!r}, wait_seconds=30.0)
"""


@contextmanager
def another_process(url: str, code: str, *, opens: bool = True) -> Iterator[subprocess.Popen[str]]:
    """Run code in another process, which has `ledger` unless it opens its own; it has ended when the block has."""
    prologue = _PROLOGUE if opens else _PROLOGUE.rpartition("ledger = ")[0]
    command = [sys.executable, "-c", prologue + code, url]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def take_over(path: Path) -> None:
    """Take all locks of a SQLite ledger, as an older version does, which does not know who is alive."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE fences SET number = 1")


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
