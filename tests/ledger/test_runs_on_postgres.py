"""Whole runs whose ledger is in PostgreSQL: what a throw-away container has."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator
from tests.conftest import Companion, Prune, Sent, Target, members
from tests.integration.postgres import Database
from tests.messages import address, deleted, digests, people, record, schema, state
from tests.test_process import feed, running, wait_until

EMAIL = schema("email", "_sdc_deleted_at")


@pytest.fixture
def config(config: dict[str, Any], postgres_url: str) -> dict[str, Any]:
    return {**config, "load_method": "overwrite", "ledger_url": postgres_url}


def test_only_what_changed_is_sent_and_who_left_is_pruned(
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
def test_looking_for_a_ledger_makes_none(
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


def test_a_check_and_a_run_that_sends_everything_make_no_ledger(
    run_companion: Companion, run_target: Target, database: Database
) -> None:
    checked = run_companion("check")
    assert "There is none in the PostgreSQL database" in checked.stdout
    assert run_target([EMAIL, *people(range(3)), state(1)], load_method="append-only").code == 0
    assert database.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'target_pinterest_audience'") == "0"


def test_a_killed_run_is_made_good_and_its_lock_is_free(
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


def test_a_rotated_refresh_token_is_kept_inside(
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
