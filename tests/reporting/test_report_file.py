"""The report that `report_path` names: the counts of the log for machines, however the run ended."""

from __future__ import annotations

import json
import stat
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.messages import address, deleted, people, record, schema, state
from tests.support.processes import Target, feed, lines, running
from tests.support.waiting import wait_until

ODD = [record(id=90, email="no address"), record(id=91, email=address(1))]
STREAM = [schema("email", "maid"), *people(range(25)), *ODD]


def test_the_report_counts_what_happened_to_each_value(emulator: Emulator, run_target: Target, tmp_path: Path) -> None:
    path = tmp_path / "out" / "report.json"
    run = run_target([*STREAM, state(1)], report_path=str(path), load_method="upsert")
    assert run.code == 0, run.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["report.json"]
    report = json.loads(path.read_text())
    started, finished = (msgspec.convert(report.pop(name), datetime) for name in ("started_at", "finished_at"))
    assert started <= finished
    assert report.pop("program").startswith("target-pinterest-audience ")
    (made,) = emulator.backend.customer_lists()
    counts = {
        "received": 27, "added": 25, "unchanged": 0, "duplicate": 1, "refused": 0, "held_out": 0,
        "named_for_removal": 0,
    }  # fmt: skip
    reason = {
        "column": "email",
        "reason": "not an e-mail address",
        "count": 1,
        "first_line": 27,
        "first_file_row": None,
    }
    assert report == {
        "dry_run": False, "empty": False, "exit_code": 0, "error": None, "calls": 4, "limited_seconds": 0.0,
        "streams": [
            {
                "stream": "customers", "rows": 27, "deleted_rows": 0, "unmatched_deletes": 0, "held_out_rows": 0,
                **counts, "rejected": 1, "rejects": [reason],
                "notes": [],
            }
        ],
        "lists": [
            {
                "chosen_by": 'customer list "customers"', "customer_list_id": made.id, "name": "customers",
                "members": 25, "contributing_rows": 26, "matched": None, "match_percent": None,
                "status": "PROCESSING", "added": 25, "removed": 0, "removals": {},
                "refused": 0, "left_out": 0, "requests": 1,
            }
        ],
    }  # fmt: skip


def test_a_dry_run_is_reported_and_writes_nothing(emulator: Emulator, run_target: Target, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    assert run_target([*STREAM, state(1)], load_method="upsert").code == 0
    before = len(emulator.backend.writes())
    stream = [schema("email"), *people([30, 31]), deleted(3), state(2)]
    run = run_target(stream, load_method="upsert", dry_run=True, report_path=str(path))
    assert (run.code, run.stdout) == (0, "")
    assert len(emulator.backend.writes()) == before
    report = json.loads(path.read_text())
    assert report["dry_run"] is True
    assert report["exit_code"] == 0
    (sent,) = report["lists"]
    assert (sent["added"], sent["removed"], sent["requests"]) == (2, 1, 2)
    assert (sent["members"], sent["removals"]) == (26, {"delete": 1})
    assert "Removed" not in run.stderr


def test_a_failed_run_is_reported_with_its_exit_code_and_reason(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    emulator.backend.create_list("customers")
    emulator.backend.inject(Fault(method="PATCH", status=500, times=None))
    assert run_target([*STREAM, state(1)], report_path=str(path), max_retries=0).code == 4
    report = json.loads(path.read_text())
    assert report["exit_code"] == 4
    assert "Pinterest is not available" in report["error"]
    assert report["lists"][0]["requests"] == 0
    emulator.backend.clear_faults()
    assert run_target(lines(STREAM) + b"{", report_path=str(path)).code == 8
    assert "Line 29 of the stream" in json.loads(path.read_text())["error"]


def test_a_run_that_was_killed_left_no_exit_code(config: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("of another run")
    with running(config, tmp_path, report_path=str(path)) as process:
        feed(process, STREAM)
        wait_until(lambda: path.read_text().startswith("{"))
        process.kill()
        process.communicate()
    report = json.loads(path.read_text())
    assert (report["finished_at"], report["exit_code"]) == (None, None)


def test_a_signal_is_reported(config: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with running(config, tmp_path, report_path=str(path)) as process:
        feed(process, STREAM)
        wait_until(path.exists)
        process.terminate()
        process.communicate(timeout=10)
    report = json.loads(path.read_text())
    assert (report["exit_code"], report["error"][:7]) == (143, "SIGTERM")


def test_an_unwritable_report_is_an_error_before_anything_is_sent(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    run = run_target(STREAM, report_path=str(tmp_path / "file" / "report.json"))
    assert run.code == 2
    assert "`report_path`" in run.stderr
    assert emulator.backend.calls == []
