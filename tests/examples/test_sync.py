"""`sync.sh`: how the exit codes of its three programs become one, and what it keeps between runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import members
from tests.support.messages import digests
from tests.support.pipeline import wait_until
from tests.support.sync_folder import SyncFolder, full_table_state


@pytest.fixture
def folder(tmp_path: Path, config: dict[str, Any]) -> SyncFolder:
    return SyncFolder(tmp_path / "sync", {**config, "customer_list_name": "customers", "missing_ledger": "stop"})


def test_a_first_run_creates_the_list_although_a_missing_ledger_stops_later_ones(
    folder: SyncFolder, emulator: Emulator, tmp_path: Path
) -> None:
    done = folder.run()
    assert done.returncode == 0, done.stderr
    assert members(emulator) == digests([1, 2, 3])
    (tmp_path / "ledger.db").unlink()
    assert folder.run().returncode == 7


def test_who_is_gone_is_removed_and_the_state_goes_to_the_next_run(folder: SyncFolder, emulator: Emulator) -> None:
    assert folder.run().returncode == 0
    folder.read([1, 2])
    assert folder.run().returncode == 0
    assert members(emulator) == digests([1, 2])
    assert ["--state" in arguments for arguments in folder.taps] == [False, True]
    assert json.loads((folder.folder / "state.json").read_text()) == full_table_state(2)


def test_if_only_the_tap_fails_the_stream_is_broken_and_nobody_is_removed(
    folder: SyncFolder, emulator: Emulator
) -> None:
    assert folder.run().returncode == 0
    folder.read([1], code=3)
    assert folder.run().returncode == 8
    assert members(emulator) == digests([1, 2, 3])


@pytest.mark.parametrize(("status", "code"), [(503, 4), (403, 3)])
def test_the_targets_exit_code_counts_even_if_the_tap_fails(
    folder: SyncFolder, emulator: Emulator, config: dict[str, Any], status: int, code: int
) -> None:
    folder.configure({**config, "max_retries": 0})
    emulator.backend.inject(Fault(status=status, times=None))
    folder.read([1], code=1)
    assert folder.run().returncode == code


def test_prunes_exit_code_counts_if_both_succeed(folder: SyncFolder, emulator: Emulator) -> None:
    folder.read(range(100))
    assert folder.run().returncode == 0
    folder.read([1])
    assert folder.run().returncode == 6
    assert members(emulator) == digests(range(100))


def test_a_stop_waits_for_the_target_and_keeps_its_state(folder: SyncFolder, config: dict[str, Any]) -> None:
    folder.configure({**config, "batch_size_rows": 3})
    folder.hang()
    script, states = folder.folder / "sync.sh", folder.folder / "states.jsonl"
    with subprocess.Popen(["bash", script], env=folder.environment(), start_new_session=True) as process:
        wait_until(lambda: states.exists() and states.stat().st_size > 0, "the target wrote no STATE")
        # As `tini -g` and the schedulers do.
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(30) == 143
    assert json.loads((folder.folder / "state.json").read_text()) == full_table_state(3)


def test_without_files_the_settings_come_from_the_environment(
    folder: SyncFolder, emulator: Emulator, config: dict[str, Any], tmp_path: Path
) -> None:
    (folder.folder / "target.json").unlink()
    names = {"ad_account_id", "access_token", "api_url", "ledger_url"}
    variables = {f"TARGET_PINTEREST_AUDIENCE_{name.upper()}": str(config[name]) for name in names}
    (tmp_path / "state").mkdir()
    done = folder.run(
        **variables, TARGET_PINTEREST_AUDIENCE_LOAD_METHOD="overwrite", STATE_FOLDER=str(tmp_path / "state")
    )
    assert done.returncode == 0, done.stderr
    assert members(emulator) == digests([1, 2, 3])
    assert folder.taps == ["--config ENV --catalog catalog.json"]
    assert {each.name for each in (tmp_path / "state").iterdir()} == {"state.json", "states.jsonl"}
    assert not (folder.folder / "states.jsonl").exists()
