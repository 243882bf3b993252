"""The process's edges: what is imported, and that the last words are written though the interpreter is left at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.messages import people, schema
from tests.support.processes import command, environment, lines, unmeasured_environment

SENDS_ALL = {"load_method": "append-only"}
HAS_A_LEDGER = {"load_method": "upsert"}


def test_a_run_does_not_import_numpy_for_others(config: dict[str, Any], tmp_path: Path) -> None:
    argv = [sys.executable, "-X", "importtime", *command(config, tmp_path)[1:]]
    stream = lines([schema("email"), *people([1])])
    done = subprocess.run(argv, input=stream, capture_output=True, check=False, timeout=60, env=environment())
    assert done.returncode == 0, done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}
    assert "joblib" in imported
    assert "numpy.version" not in imported


@pytest.mark.parametrize(
    ("settings", "used"),
    [
        (SENDS_ALL, set()),
        (HAS_A_LEDGER, {"sqlite3", "target_pinterest_audience.ledger.sqlite.sqlite_ledger"}),
        ({**SENDS_ALL, "notify_urls": ["json://127.0.0.1:9"]}, {"apprise", "sqlite3"}),
    ],
)
def test_a_run_does_not_import_what_it_does_not_use(
    config: dict[str, Any], tmp_path: Path, settings: dict[str, Any], used: set[str]
) -> None:
    heavy = {
        "apprise", "filelock", "psycopg", "pyarrow", "rich", "sqlite3", "werkzeug",
        "target_pinterest_audience.reporting.alerts.board", "target_pinterest_audience.ledger.sqlite.sqlite_ledger",
        "target_pinterest_audience.run.readiness", "target_pinterest_audience.reconcile.session",
    }  # fmt: skip
    program = (
        "import sys; from target_pinterest_audience.singer.command import run; code = run(sys.argv[1:]); "
        f"print(*{heavy} & {{*sys.modules}}); sys.exit(code)"
    )
    argv = [sys.executable, "-c", program, *command({**config, **settings}, tmp_path)[3:]]
    stream = lines([schema("email"), *people([1])])
    done = subprocess.run(
        argv, input=stream, capture_output=True, check=False, timeout=60, env=unmeasured_environment()
    )
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.decode().split())
    assert imported >= used
    if not used:
        assert not imported


def test_an_output_that_cannot_be_written_at_the_end_is_not_a_success(config: dict[str, Any], tmp_path: Path) -> None:
    about = [*command(config, tmp_path)[:3], "--about"]
    assert subprocess.run(about, stdout=subprocess.DEVNULL, check=False, timeout=60).returncode == 0
    with Path("/dev/full").open("wb") as full:
        # Buffered, so that it is not noticed before.
        done = subprocess.run(about, stdout=full, check=False, timeout=60, env=environment(PYTHONUNBUFFERED=""))
    assert done.returncode == 1
