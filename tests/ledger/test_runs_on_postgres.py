"""Whole runs whose ledger is in PostgreSQL: what a throw-away container has."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import Sent, members
from tests.support.ledgers import another_process, line_of
from tests.support.messages import address, deleted, digests, people, record, schema, state
from tests.support.postgres import Database
from tests.support.processes import Companion, Prune, Target, feed, running
from tests.support.waiting import wait_until

EMAIL = schema("email", "_sdc_deleted_at")


@pytest.fixture
def config(config: dict[str, Any], postgres_url: str) -> dict[str, Any]:
    return {**config, "load_method": "overwrite", "ledger_url": postgres_url}


def test_only_what_changed_is_sent_and_missing_people_are_pruned(
    emulator: Emulator, run_target: Target, run_prune: Prune, sent: Sent, database: Database
) -> None:
    first = run_target([EMAIL, *people(range(100)), state(1)])
    assert (first.code, first.states, len(sent())) == (0, [state(1)["value"]], 1)
    assert run_target([EMAIL, *people(range(100))]).code == 0
    assert sent() == []
    changed = [EMAIL, *people(range(85)), record(id=0, email=address(200)), deleted(1)]
    assert run_target(changed).code == 0
    assert members(emulator) == digests([*range(2, 100), 200])
    assert run_target(changed, dry_run=True).states == []
    pruned = run_prune()
    assert pruned.code == 0, pruned.stderr
    assert members(emulator) == digests([*range(2, 85), 200])
    again = run_prune()
    assert again.code == 2
    assert f"{database.host}:{database.port}" in again.stderr
    assert database.password not in again.stderr
    stored = database.execute("SELECT encode(says, 'escape') FROM target_pinterest_audience.row_says")
    assert "example" not in stored


@pytest.mark.parametrize("command", [["report"], ["ledger", "show"], ["prune"], ["lists", "show", "customers"]])
def test_looking_for_a_ledger_creates_none(
    emulator: Emulator, run_companion: Companion, database: Database, command: list[str]
) -> None:
    emulator.backend.create_list("customers")
    done = run_companion(*command)
    if command[0] == "lists":
        assert (done.code, "there is none yet" in done.stdout) == (0, True), done.stderr
    else:
        assert done.code == 2
        assert f"here is no ledger in the PostgreSQL database {database.name} on {database.host}" in done.stderr
    assert database.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'target_pinterest_audience'") == "0"


def test_check_and_append_only_runs_create_no_ledger(
    run_companion: Companion, run_target: Target, database: Database
) -> None:
    checked = run_companion("check")
    assert "not created yet; the first run creates it in the PostgreSQL database" in checked.stdout
    assert run_target([EMAIL, *people(range(3)), state(1)], load_method="append-only").code == 0
    assert database.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'target_pinterest_audience'") == "0"


def test_the_next_run_finishes_a_killed_one_whose_lock_is_free(
    emulator: Emulator, run_target: Target, config: dict[str, Any], tmp_path: Path
) -> None:
    with running(config, tmp_path, batch_size_rows=5) as first:
        feed(first, [EMAIL, *people(range(7))])
        wait_until(lambda: len(emulator.backend.writes()) == 1)
        blocked = run_target([EMAIL, *people([9])], lock_wait_seconds=1)
        assert blocked.code == 7
        assert blocked.stderr.count(f"process {first.pid} on ") == 2
        assert "Another run has source customers: process" in blocked.stderr
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    # The source has changed meanwhile: 6 has another address.
    assert run_target([EMAIL, *people(range(6)), record(id=6, email=address(60))]).code == 0
    assert members(emulator) == digests([*range(6), 60])


def test_a_rotated_refresh_token_is_stored_in_the_database(
    emulator: Emulator, run_target: Target, tmp_path: Path, database: Database
) -> None:
    oauth = {"client_id": "emulator-app", "client_secret": "emulator-secret", "refresh_token": "emulator-refresh"}
    before = set(tmp_path.iterdir())
    for number in range(3):
        run = run_target([EMAIL, *people([number])], access_token=None, **oauth)
        assert run.code == 0, run.stderr
    assert members(emulator) == digests(range(3))
    assert {path.name for path in set(tmp_path.iterdir()) - before} == {"config.json"}
    kept = database.execute("SELECT refresh_token FROM target_pinterest_audience.credentials")
    assert kept.strip() not in {"", "emulator-refresh"}


OPEN = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND xact_start IS NOT NULL AND backend_type = 'client backend'"
)
"""How many sessions are in a transaction."""


@pytest.mark.parametrize("dry", [False, True])
def test_no_transaction_is_open_while_the_tap_hangs(
    run_target: Target, config: dict[str, Any], tmp_path: Path, database: Database, *, dry: bool
) -> None:
    assert run_target([EMAIL, *people(range(3))]).code == 0
    with running(config, tmp_path, dry_run=dry) as hanging:
        feed(hanging, [EMAIL, *people(range(6))])
        # Its window is processed after two seconds.
        time.sleep(4)
        assert hanging.poll() is None
        assert [database.execute(OPEN) for _ in range(5)] == ["0"] * 5
        other = run_target([schema("email", stream="others"), *people(range(3), "others")], lock_wait_seconds=5)
        assert other.code == 0, other.stderr
        if dry:
            assert run_target([EMAIL, *people(range(4))], lock_wait_seconds=5).code == 0
        hanging.communicate(timeout=60)
        assert hanging.returncode == 0


def test_no_transaction_is_open_while_pinterest_hangs(
    emulator: Emulator, config: dict[str, Any], tmp_path: Path, database: Database
) -> None:
    emulator.backend.create_list("customers")
    emulator.backend.inject(Fault(method="PATCH", delay_ms=6000, times=1))
    with running(config, tmp_path, batch_size_rows=5) as hanging:
        feed(hanging, [EMAIL, *people(range(5))])
        time.sleep(4)
        assert [database.execute(OPEN) for _ in range(5)] == ["0"] * 5
        hanging.communicate(timeout=60)
        assert hanging.returncode == 0
    assert members(emulator) == digests(range(5))


def test_alerts_do_not_wait_for_long_while_another_process_writes(run_target: Target, postgres_url: str) -> None:
    writes = """
with ledger.transaction():
    print("writing", flush=True)
    sys.stdin.readline()
"""
    assert run_target([EMAIL, *people(range(3))]).code == 0
    with another_process(postgres_url, writes) as process:
        assert line_of(process) == "writing"
        began = time.monotonic()
        run = run_target([EMAIL, *people(range(3))], lock_wait_seconds=1, notify_urls=["json://127.0.0.1:9/"])
        assert time.monotonic() - began < 60
    assert run.code == 7
    assert "is busy" in run.stderr.splitlines()[-1]
    assert "alerts may repeat" in run.stderr
