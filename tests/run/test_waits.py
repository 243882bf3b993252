"""Nothing waits without saying for whom, and how long at most."""

from __future__ import annotations

import functools
import os
import pty
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.ledger.sqlite import connection as sqlite
from target_pinterest_audience.ledger.sqlite.sqlite_ledger import SqliteLedger
from target_pinterest_audience.pinterest.token_store import CredentialsFile
from target_pinterest_audience.system import waits
from tests.support.account import ACCOUNT, members
from tests.support.messages import digests, people, schema
from tests.support.processes import command, companion_command, environment, lines
from tests.support.waiting import Clock

if TYPE_CHECKING:
    import pytest


def wait_for(condition: Callable[[], bool]) -> None:
    waited = threading.Event()
    for _ in range(200):
        if condition():
            return
        waited.wait(0.05)
    raise AssertionError


def test_a_wait_is_logged_at_once_and_again_each_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    monkeypatch.setattr(time, "monotonic", clock)
    wait = waits.Wait("another run has the list", 600, setting="lock_wait_seconds")
    for second in range(125):
        clock.now = second
        wait.log(functools.partial(str, "process 1" if second < 2 else "process 2"))
    assert [record.getMessage() for record in caplog.records] == [
        "Another run has the list: process 1. Waiting at most 600 s (`lock_wait_seconds`).",
        "Still waiting, 60 s so far and at most 600 s (`lock_wait_seconds`): another run has the list: process 2.",
        "Still waiting, 120 s so far and at most 600 s (`lock_wait_seconds`): another run has the list: process 2.",
    ]


def test_a_blocking_call_is_logged_while_it_waits_and_not_afterwards(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(waits, "EVERY_SECONDS", 0.05)
    with waits.waiting("somebody has it", 5):
        wait_for(lambda: len(caplog.records) >= 3)
    told = len(caplog.records)
    threading.Event().wait(0.2)
    assert len(caplog.records) <= told + 1
    assert "Somebody has it. Waiting at most 5 s." in caplog.text


def test_a_short_wait_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with waits.waiting("somebody has it", 5, after_seconds=60):
        pass
    assert caplog.records == []


def test_waiting_for_another_process_that_writes_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "LOG_AFTER_SECONDS", 0.0)
    path = tmp_path / "ledger.db"
    with (
        closing(SqliteLedger(path, "https://api.pinterest.com/v5", ACCOUNT, wait_seconds=30)) as ledger,
        closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(1.5, lambda: other.execute("ROLLBACK")).start()
        with ledger.transaction():
            pass
    assert f"Another process writes to {path}. Waiting at most 30 s (`lock_wait_seconds`)." in caplog.text


def test_waiting_for_another_process_that_renews_the_sign_in_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "credentials.json"
    lock = FileLock(tmp_path / ".credentials.json.lock", thread_local=False)
    lock.acquire()
    threading.Timer(2.8, lock.release).start()
    with CredentialsFile(path).exclusive():
        pass
    assert f"Another process renews the sign-in in {path}. Waiting at most 300 s." in caplog.text


def test_a_terminal_as_standard_input_is_logged_and_read(
    emulator: Emulator, config: dict[str, Any], tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(config, tmp_path), stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        os.close(theirs)
        assert process.stderr is not None
        first = process.stderr.readline()
        os.write(ours, lines([schema("email"), *people([1])]) + b"\x04")
        _, rest = process.communicate(timeout=60)
    os.close(ours)
    assert b"Standard input is a terminal: waiting for Singer messages." in first
    assert process.returncode == 0, rest
    assert members(emulator) == digests([1])


def test_values_to_be_typed_are_asked_for(config: dict[str, Any], tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    argv = companion_command(config, tmp_path, "forget", "--email", "-", "--yes", "--dry-run")
    with subprocess.Popen(
        argv, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        os.close(theirs)
        assert process.stderr is not None
        first = process.stderr.readline()
        os.write(ours, b"person1@example.com\n\x04")
        process.communicate(timeout=60)
    os.close(ours)
    assert b"Standard input is a terminal: enter the values, one per line." in first
    assert process.returncode == 0
