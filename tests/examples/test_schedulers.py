"""The DAG and the job run as they are, in a real Airflow and a real Dagster: what they retry, and what they hand on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import members
from tests.support.messages import digests
from tests.support.sync_folder import EXAMPLES, SyncFolder

pytestmark = pytest.mark.timeout(600)

_PROBLEMS = ("pinterest_unavailable", "sign_in_expired")
"""What is wrong on the first attempt. The exit codes are 4 and 3."""

# Each file is a DAG of its own, which has its own folder. `dag.test()` runs all attempts, as the scheduler would.
_AIRFLOW = """
import importlib.util, json, os, sqlite3, sys
from airflow.utils.db import initdb

initdb()
for name in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location(name, os.environ["AIRFLOW__CORE__DAGS_FOLDER"] + f"/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    getattr(module, name)().test()
database = sqlite3.connect(os.environ["AIRFLOW_HOME"] + "/airflow.db")
found = {name: {} for name in sys.argv[1:]}
for name, state, attempts in database.execute("SELECT dag_id, state, try_number FROM task_instance"):
    found[name] |= {"state": state, "attempts": attempts}
for name, key, value in database.execute("SELECT dag_id, key, value FROM xcom"):
    found[name][key] = json.loads(value)
print("\\x1e" + json.dumps(found))
"""

_DAGSTER = """
import importlib.util, json, sys
import dagster as dg

found = {}
for folder in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location("definitions", folder + "/definitions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with dg.DagsterInstance.ephemeral() as instance:
        job = module.defs.resolve_job_def("pinterest_nightly")
        done = job.execute_in_process(raise_on_error=False, instance=instance)
    kinds = [event.event_type_value for event in done.all_events]
    if done.success:
        (materialized,) = done.asset_materializations_for_node("pinterest_readers")
        metadata = materialized.metadata
    else:
        (failure,) = [event.step_failure_data for event in done.all_events if event.is_step_failure]
        metadata = failure.user_failure_data.metadata
    found[folder.rpartition("/")[2]] = {
        "state": "success" if done.success else "failed",
        "attempts": 1 + kinds.count("STEP_RESTARTED"),
        **{name: value.value for name, value in metadata.items()},
    }
print("\\x1e" + json.dumps(found))
"""


@pytest.fixture
def folders(tmp_path: Path, config: dict[str, Any], emulator: Emulator) -> dict[str, SyncFolder]:
    """A folder for each problem; the very first request meets a Pinterest that is not available."""
    emulator.backend.inject(Fault(status=503, times=1))
    settings: dict[str, dict[str, Any]] = {
        "pinterest_unavailable": {"max_retries": 0},
        "sign_in_expired": {"access_token": "yesterdays"},
    }
    return {name: SyncFolder(tmp_path / name, {**config, **settings[name]}) for name in _PROBLEMS}


def copy_example(example: str, folder: SyncFolder, path: Path, *changes: tuple[str, str]) -> None:
    """Write an example for a folder, with changes of its text, each of which has to find something."""
    text = (EXAMPLES / example).read_text()
    for old, new in [("/srv/pinterest", str(folder.folder)), *changes]:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def run(python: str, program: str, arguments: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """Run a program in the environment of a scheduler, and return what it found."""
    done = subprocess.run(
        [python, "-c", program, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.rpartition("\x1e")[2])
    return found


def check(found: dict[str, Any], folders: dict[str, SyncFolder], emulator: Emulator) -> None:
    """Check that exit code 4 was retried, that exit code 3 was not, and that both handed the report on."""
    retried, failed = (found[name] for name in _PROBLEMS)
    assert (retried["state"], retried["attempts"]) == ("success", 2)
    assert retried["report"]["exit_code"] == 0
    assert members(emulator) == digests([1, 2, 3])
    assert (failed["state"], failed["attempts"]) == ("failed", 1)
    assert failed["report"]["exit_code"] == 3
    assert "does not accept the access token" in failed["report"]["error"]
    assert [len(folders[name].taps) for name in _PROBLEMS] == [2, 1]


def test_airflow_retries_what_passes_and_fails_at_once_otherwise(
    airflow: str, folders: dict[str, SyncFolder], config: dict[str, Any], emulator: Emulator, tmp_path: Path
) -> None:
    (tmp_path / "dags").mkdir()
    stopped = SyncFolder(tmp_path / "task_stopped", config)
    stopped.stop_once()
    folders = {**folders, "task_stopped": stopped}
    for name, folder in folders.items():
        copy_example(
            "airflow/pinterest_readers.py", folder, tmp_path / "dags" / f"{name}.py",
            ("pinterest_readers", name), ("timedelta(minutes=15)", "timedelta(0)"),
        )  # fmt: skip
    variables = {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    found = run(airflow, _AIRFLOW, list(folders), next(iter(folders.values())).environment(**variables))
    check(found, folders, emulator)
    assert (found["task_stopped"]["state"], found["task_stopped"]["attempts"]) == ("success", 2)
    assert not (stopped.folder / "survived").exists(), "the task ended, and tap and target went on"
    assert found["pinterest_unavailable"]["return_value"] == {"added": 3, "removed": 0, "rejected": 0}


def test_dagster_retries_what_passes_and_fails_at_once_otherwise(
    dagster: str, folders: dict[str, SyncFolder], emulator: Emulator
) -> None:
    for folder in folders.values():
        copy_example(
            "dagster/definitions.py", folder, folder.folder / "definitions.py", ("RETRY_DELAY = 900", "RETRY_DELAY = 0")
        )
    paths = [str(folder.folder) for folder in folders.values()]
    found = run(dagster, _DAGSTER, paths, next(iter(folders.values())).environment(DAGSTER_DISABLE_TELEMETRY="1"))
    check(found, folders, emulator)
    assert found["pinterest_unavailable"]["added"] == 3
