"""The fence of a SQLite ledger: a lost lock is noticed at once, and nothing is counted as long as none can be lost."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.open import open_ledger
from target_pinterest_audience.ledger.schema import VERSION
from tests.support.account import ACCOUNT
from tests.support.ledgers import API

COUNT = "SELECT count(*) FROM fences"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that count fences, on whichever connection."""
    connect, seen = sqlite3.connect, list[str]()

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(lambda statement: seen.append(statement) if COUNT in statement else None)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    return seen


@pytest.fixture
def ledger(path: Path, counts: list[str]) -> Iterator[Ledger]:  # noqa: ARG001 - it traces the ledger's connections
    with contextlib.closing(open_ledger(f"sqlite:///{path}", API, ACCOUNT, wait_seconds=1)) as ledger:
        ledger.locks.take(["one", "two", "three"], 0)
        yield ledger


def commit(path: Path, statement: str) -> None:
    """Run a statement as another process does."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_fences_are_not_checked_while_no_other_process_commits(ledger: Ledger, counts: list[str]) -> None:
    with ledger.transaction():
        ledger.catalogue.sources.add("customers")
    # The second connection counts once after each commit of the first.
    ledger.locks.ensure()
    assert counts
    counts.clear()
    for _ in range(5):
        ledger.locks.ensure()
        with ledger.transaction():
            ledger.locks.ensure()
    assert len(counts) == 0


def test_a_lock_of_this_process_needs_no_check_by_its_own_connection(ledger: Ledger, counts: list[str]) -> None:
    with ledger.transaction():
        pass
    counts.clear()
    for number in range(5):
        ledger.locks.take([f"list {number}"], 0)
    assert len(counts) == 0


@pytest.mark.parametrize(
    "loss",
    [
        "UPDATE fences SET number = 1",
        "UPDATE fences SET number = 1 WHERE name_digest = (SELECT MIN(name_digest) FROM fences)",
        "DELETE FROM fences WHERE name_digest = (SELECT MAX(name_digest) FROM fences)",
    ],
)
@pytest.mark.parametrize("counted", [False, True])
def test_the_loss_of_any_lock_is_noticed_at_once(ledger: Ledger, path: Path, loss: str, *, counted: bool) -> None:
    if counted:
        ledger.locks.ensure()
        with ledger.transaction():
            ledger.locks.ensure()
    commit(path, loss)
    with pytest.raises(LedgerError, match="lost its locks"):
        ledger.locks.ensure()
    with pytest.raises(LedgerError, match="lost its locks"), ledger.transaction():
        pass
    # It stays lost.
    with pytest.raises(LedgerError, match="lost its locks"):
        ledger.locks.ensure()


def test_a_commit_of_another_process_that_took_no_lock_loses_nothing(ledger: Ledger, path: Path) -> None:
    for number in range(3):
        commit(path, f"INSERT INTO fences (name_digest, number) VALUES ({number}, 1)")  # noqa: S608 - a number
        ledger.locks.ensure()
        with ledger.transaction():
            pass


@pytest.mark.parametrize("holds", [False, True])
def test_a_run_ends_when_a_newer_version_upgrades_its_ledger(path: Path, *, holds: bool) -> None:
    with contextlib.closing(open_ledger(f"sqlite:///{path}", API, ACCOUNT, wait_seconds=1)) as ledger:
        if holds:
            ledger.locks.take(["one"], 0)
            ledger.locks.ensure()
        commit(path, f"PRAGMA user_version = {VERSION + 1}")
        # It may have waited for its first lock meanwhile.
        ledger.locks.take(["one"], 0)
        for use in (ledger.locks.ensure, ledger.transaction().__enter__, ledger.locks.ensure):
            with pytest.raises(LedgerError, match="A newer version of this target upgraded the ledger"):
                use()
