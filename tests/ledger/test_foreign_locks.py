"""A session of another program, such as psql, holds a lock in a PostgreSQL ledger."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from target_pinterest_audience.errors import ConfigurationError, LedgerError
from target_pinterest_audience.ledger.postgres.connection import Database as LedgerDatabase
from target_pinterest_audience.ledger.postgres.credentials import LedgerCredentials
from tests.support.ledgers import Opened
from tests.support.messages import people, schema, state
from tests.support.postgres import Database
from tests.support.processes import Companion, Target, feed, running
from tests.support.waiting import wait_until
from tests.support.zygote import PipedProcess

EMAIL = schema("email")
TABLE = "LOCK TABLE target_pinterest_audience.members IN ACCESS EXCLUSIVE MODE"
ROWS = "SELECT FROM target_pinterest_audience.lists FOR UPDATE"
FENCES = "LOCK TABLE target_pinterest_audience.fences IN ACCESS EXCLUSIVE MODE"
RUNS = "LOCK TABLE target_pinterest_audience.runs IN ACCESS EXCLUSIVE MODE"
EVERY = (TABLE, ROWS, FENCES)

Locked = Callable[[str], AbstractContextManager[int]]


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
def config(config: dict[str, Any], postgres_url: str) -> dict[str, Any]:
    return {**config, "load_method": "upsert", "ledger_url": postgres_url}


@pytest.fixture
def locked(url: str) -> Locked:
    """Hold the lock of a statement in a block, which gets the server's process of that session."""

    @contextmanager
    def locked(statement: str) -> Iterator[int]:
        with closing(psycopg.connect(url, application_name="clean-up")) as connection:
            connection.execute(statement)
            yield connection.info.backend_pid

    return locked


@pytest.mark.parametrize("statement", EVERY)
def test_a_run_names_the_session_that_it_waits_for_and_ends(run_target: Target, locked: Locked, statement: str) -> None:
    assert run_target([EMAIL, *people(range(3))]).code == 0
    with locked(statement) as holder:
        run = run_target([EMAIL, *people(range(5)), state(1)], lock_wait_seconds=7)
    assert (run.code, run.states) == (7, []), run.stderr
    assert f"server process {holder} (user postgres, clean-up)" in run.stderr
    assert "Another session has locked tables or rows of the ledger in the PostgreSQL database" in run.stderr
    assert "Waiting at most 7 s (`lock_wait_seconds`)" in run.stderr
    assert "This process waited 7 s. Another session of the server" in run.stderr.splitlines()[-1]
    assert "pg_blocking_pids" in run.stderr.splitlines()[-1]


def test_a_run_goes_on_when_the_lock_is_released(
    run_target: Target, config: dict[str, Any], tmp_path: Path, locked: Locked
) -> None:
    assert run_target([EMAIL, *people(range(3))]).code == 0
    with running(config, tmp_path) as process:
        with locked(ROWS):
            feed(process, [EMAIL, *people(range(5)), state(1)])
            time.sleep(3)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr


def test_a_command_that_reads_ends_too(run_target: Target, run_companion: Companion, locked: Locked) -> None:
    assert run_target([EMAIL, *people(range(3))]).code == 0
    with locked(RUNS):
        shown = run_companion("ledger", "show", lock_wait_seconds=1)
    assert shown.code == 7
    assert "This process waited 5 s. Another session of the server" in shown.stderr


def test_a_check_of_the_locks_ends_too(opened: Opened, locked: Locked) -> None:
    ledger = opened(wait_seconds=1)
    ledger.locks.take(["customers"], 0)
    began = time.monotonic()
    with locked(FENCES), pytest.raises(LedgerError, match="Another session of the server"):
        ledger.locks.ensure()
    assert time.monotonic() - began < 9


def test_credentials_are_not_waited_for_without_limit(url: str, locked: Locked) -> None:
    credentials = LedgerCredentials(url, lock_seconds=1)
    credentials.keep("first", "configured")
    with locked("LOCK TABLE target_pinterest_audience.credentials"):
        with pytest.raises(ConfigurationError, match="Another session of the server"):
            credentials.newest("configured")
        with pytest.raises(ConfigurationError, match="Another session of the server"):
            credentials.ensure_writable()


def test_no_session_waits_for_locks_without_limit(database: Database, url: str) -> None:
    database.execute(f"ALTER DATABASE {database.name} SET lock_timeout TO 0")
    for seconds, limit in ((0, "5s"), (600, "10min")):
        with closing(LedgerDatabase(url, seconds).connect()) as connection:
            assert connection.execute("SHOW lock_timeout").fetchone() == (limit,)


def wait_for_lock(process: PipedProcess[bytes], database: Database) -> int:
    """Feed a run until it waits for a lock, and return the server's process of its session."""
    waiting = "SELECT min(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    feed(process, [EMAIL, *people(range(5)), state(1)])
    wait_until(lambda: database.execute(waiting) != "")
    return int(database.execute(waiting))


@pytest.mark.parametrize("statement", EVERY)
def test_a_signal_ends_the_wait_and_does_not_blame_the_server(
    run_target: Target, config: dict[str, Any], tmp_path: Path, database: Database, locked: Locked, statement: str
) -> None:
    assert run_target([EMAIL, *people(range(3))]).code == 0
    with locked(statement), running(config, tmp_path) as process:
        wait_for_lock(process, database)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert time.monotonic() - began < 12
    assert b"another command is already in progress" not in stderr
    assert b"The server or an administrator cancelled" not in stderr


def test_a_server_that_stalls_does_not_keep_a_signal_waiting(
    run_target: Target, config: dict[str, Any], tmp_path: Path, database: Database, locked: Locked
) -> None:
    assert run_target([EMAIL, *people(range(3))]).code == 0
    with locked(ROWS), running(config, tmp_path) as process:
        backend = wait_for_lock(process, database)
        os.kill(backend, signal.SIGSTOP)
        try:
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
        finally:
            os.kill(backend, signal.SIGCONT)
    assert process.returncode == 128 + signal.SIGTERM
    assert time.monotonic() - began < 12


DROP = "DROP SCHEMA target_pinterest_audience CASCADE"
RENAME = "ALTER SCHEMA target_pinterest_audience RENAME TO former"


@pytest.mark.parametrize("drop", [DROP, RENAME])
@pytest.mark.parametrize("restored", [False, True])
def test_tables_that_somebody_drops_or_restores_are_named_as_the_cause(
    run_target: Target, config: dict[str, Any], tmp_path: Path, database: Database, drop: str, *, restored: bool
) -> None:
    assert run_target([EMAIL, *people(range(3))]).code == 0
    dump = subprocess.run(
        [database.bin / "pg_dump", "--schema", "target_pinterest_audience", config["ledger_url"]],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    locks = "SELECT number FROM target_pinterest_audience.fences WHERE name_digest = number"
    before = database.execute(locks)
    with running(config, tmp_path) as process:
        feed(process, [EMAIL, *people(range(5))])
        wait_until(lambda: database.execute(locks) != before)
        time.sleep(3)
        database.execute(f"{drop}; {dump if restored else ''}")
        feed(process, [*people(range(9)), state(1)])
        _, stderr = process.communicate(timeout=60)
    last = stderr.decode().splitlines()[-1]
    assert process.returncode == 7, stderr
    assert "full refresh" in last
    if restored:
        assert "was replaced while this process was at work: somebody has restored its tables" in last
        assert "another process" not in last
    else:
        assert last.index("somebody has dropped, renamed or restored them") < last.index("PgBouncer")
