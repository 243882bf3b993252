"""A stream without a row and without a STATE, as from a tap that died before its first row: no success."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.batch_files import batch, write
from tests.support.messages import people, record, schema, state
from tests.support.processes import Companion, Prune, Run, Target, lines

EMAIL = schema("email")
NAMES = schema("name", stream="names")
NO_ROWS = "No rows: the tap sent neither a row nor a STATE"
VERSION = {"type": "ACTIVATE_VERSION", "stream": "customers", "version": 1}

EMPTY = pytest.mark.parametrize(
    "stream",
    [b"", b"\n\n", lines([EMAIL]), lines([EMAIL, VERSION]), lines([EMAIL, NAMES])],
    ids=["nothing", "blank lines", "SCHEMA", "ACTIVATE_VERSION", "two SCHEMAs"],
)
METHODS = pytest.mark.parametrize("load_method", ["upsert", "append-only"])


def outcomes(companion: Companion, *arguments: str, **settings: Any) -> list[str]:
    return [run["outcome"] for run in json.loads(companion(*arguments, "--json", **settings).stdout)["runs"]]


@EMPTY
@METHODS
def test_an_empty_stream_is_a_warning_and_exits_0(
    run_target: Target, tmp_path: Path, stream: bytes, load_method: str
) -> None:
    report = tmp_path / "report.json"
    run = run_target(stream, load_method=load_method, report_path=str(report))
    assert (run.code, run.stdout) == (0, "")
    assert NO_ROWS in run.stderr
    assert "does not count as a success" in run.stderr
    written = json.loads(report.read_text(encoding="utf-8"))
    assert (written["exit_code"], written["empty"]) == (0, True)


@EMPTY
def test_an_empty_stream_is_an_error_if_the_setting_says_so(run_target: Target, stream: bytes) -> None:
    run = run_target(stream, empty_stream="fail", load_method="upsert")
    assert (run.code, run.stdout) == (8, "")
    last = run.stderr.splitlines()[-1]
    assert NO_ROWS in last
    assert "`empty_stream: warn`" in last


@METHODS
def test_a_dry_run_warns_too(run_target: Target, load_method: str) -> None:
    assert NO_ROWS in run_target([EMAIL], load_method=load_method, dry_run=True).stderr
    assert run_target([EMAIL], load_method=load_method, dry_run=True, empty_stream="fail").code == 8


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_files_without_rows_count_as_empty(run_target: Target, tmp_path: Path, kind: str) -> None:
    nobody = write(tmp_path / "nobody", [], kind)
    run = run_target([EMAIL, batch(kind, nobody)], load_method="upsert", empty_stream="fail")
    assert run.code == 8
    somebody = write(tmp_path / "somebody", [people([1])[0]["record"]], kind)
    assert run_target([EMAIL, batch(kind, nobody, somebody)], load_method="upsert", empty_stream="fail").code == 0


@pytest.mark.parametrize(
    "stream",
    [
        [EMAIL, *people([1])],
        [EMAIL, record(id=1, email="no address")],
        [EMAIL, NAMES, record("names", id=1, name="x")],
        [EMAIL, state(1)],
        [state(1)],
    ],
    ids=["a row", "a bad row", "a row without identities", "a STATE after a SCHEMA", "a STATE"],
)
def test_a_row_or_a_state_is_enough(run_target: Target, stream: list[dict[str, Any]]) -> None:
    run = run_target(stream, load_method="upsert", empty_stream="fail")
    assert run.code == 0, run.stderr
    assert NO_ROWS not in run.stderr


def test_a_skipped_file_counts_as_having_rows(run_target: Target, tmp_path: Path) -> None:
    names = batch("jsonl", str(tmp_path / "is not looked at"), stream="names")
    assert run_target([EMAIL, NAMES, names], load_method="upsert", empty_stream="fail").code == 0


def test_rows_that_a_stream_map_drops_are_rows(run_target: Target) -> None:
    stream = [EMAIL, schema("email", stream="leads"), *people([1], "leads")]
    assert run_target(stream, load_method="upsert", empty_stream="fail", stream_maps={"leads": None}).code == 0


@pytest.fixture
def emptied(run_target: Target) -> Run:
    """A run, and one to which nothing came."""
    run_target([EMAIL, *people(range(12))], load_method="overwrite")
    return run_target([EMAIL], load_method="overwrite")


@pytest.mark.usefixtures("emptied")
def test_an_empty_run_is_never_reported_as_done(run_companion: Companion, tmp_path: Path) -> None:
    settings = {"load_method": "overwrite"}
    assert outcomes(run_companion, "ledger", "show", **settings) == ["empty", "clean"]
    assert outcomes(run_companion, "report", **settings) == ["done", "no rows: the tap sent neither a row nor a STATE"]
    page = tmp_path / "page.html"
    assert run_companion("report", "--html", str(page), **settings).code == 0
    html = page.read_text(encoding="utf-8")
    assert "no rows: the tap sent neither a row nor a STATE" in html
    assert "The tap sent neither a row nor a STATE. Read its log" in html


@pytest.mark.usefixtures("emptied")
def test_prune_reports_that_the_run_was_empty(run_prune: Prune) -> None:
    pruned = run_prune(load_method="overwrite")
    assert pruned.code == 2
    assert "was empty: it read neither a row nor a STATE" in pruned.stderr


def test_an_empty_run_does_not_end_the_count_of_removals(run_target: Target) -> None:
    """A run that was killed counts on, over an empty one."""
    settings = {"load_method": "upsert"}
    run_target([EMAIL, *people(range(60))], **settings)
    moved = [record(id=n, email=f"moved{n}@example.com") for n in range(18)]
    assert run_target(lines([EMAIL, *moved[:9]]) + b"{", **settings).code == 8
    assert run_target([EMAIL], **settings).code == 0
    assert run_target([EMAIL, *moved[9:]], **settings).code == 6
