"""The figures that `metrics_path` names, read by Prometheus's own parser."""

from __future__ import annotations

import stat
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.reporting.metrics.exposition import Gauge, Samples, parse, render
from target_pinterest_audience.reporting.metrics.metrics_file import MetricsFile
from target_pinterest_audience.reporting.metrics.run_metrics import run_metrics
from target_pinterest_audience.reporting.report_file import RunReport, StreamReport, moment
from tests.support.account import ACCOUNT, TOKEN
from tests.support.messages import deleted, people, record, schema, state
from tests.support.processes import Target, feed, running
from tests.support.waiting import wait_until

PREFIX = "target_pinterest_audience_"
STREAM = [schema("email"), *people(range(3)), record(id=9, email="no address"), state(1)]
UPSERT = {"load_method": "upsert"}

Figures = dict[str, dict[tuple[str, ...], float]]
"""Metric → the values of its labels other than `loader` → its value."""


def read(path: Path, loader: str = "readers") -> Figures:
    """Read a file as Prometheus does, and check what its conventions ask for."""
    found: Figures = {}
    for family in text_string_to_metric_families(path.read_text()):
        assert family.type == "gauge", family
        assert family.documentation.endswith((".", "exceed 1."))
        assert family.name.startswith(PREFIX)
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket"))
        samples = found.setdefault(family.name.removeprefix(PREFIX), {})
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("loader") == loader
            assert tuple(labels.values()) not in samples
            samples[tuple(labels.values())] = sample.value
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "collector" / "readers.prom"


def test_a_run_writes_its_figures(emulator: Emulator, run_target: Target, path: Path) -> None:
    began = time.time()
    run = run_target(STREAM, metrics_path=str(path), **UPSERT)
    assert run.code == 0, run.stderr
    figures = read(path)
    (made,) = emulator.backend.customer_lists()
    of_list = ("customers", made.id)
    ended = figures["run_end_timestamp_seconds"][()]
    assert began - 1 <= ended <= time.time()
    assert figures.pop("run_duration_seconds")[()] >= 0
    outcomes = {"added": 3, "unchanged": 0, "duplicate": 0, "refused": 0, "named_for_removal": 0, "held_out": 0}
    assert figures == {
        "run_exit_code": {(): 0},
        "run_end_timestamp_seconds": {(): ended},
        "last_success_timestamp_seconds": {(): ended},
        "run_requests": {(): 4},
        "run_rate_limit_wait_seconds": {(): 0},
        "run_rows": {("customers",): 4},
        "run_values": {("customers", name): count for name, count in {**outcomes, "rejected": 1}.items()},
        "last_rows_timestamp_seconds": {("customers",): ended},
        "run_added_identities": {of_list: 3},
        "run_removed_identities": {of_list: 0},
        "run_refused_identities": {of_list: 0},
        "list_members": {of_list: 3},
        "list_rows": {of_list: 3},
    }


def test_the_next_run_starts_from_zero_and_knows_how_many_people_match(run_target: Target, path: Path) -> None:
    with Emulator(access_token=TOKEN, ad_account_id=ACCOUNT, processing_seconds=0) as server:
        settings = {"api_url": server.url, "metrics_path": str(path), **UPSERT}
        assert run_target(STREAM, **settings).code == 0
        assert run_target([schema("email"), deleted(1), deleted(2), state(2)], **settings).code == 0
    figures = read(path)
    (of_list,) = figures["list_members"]
    assert figures["run_rows"] == {("customers",): 2}
    assert (figures["run_added_identities"][of_list], figures["run_removed_identities"][of_list]) == (0, 2)
    assert (figures["list_members"][of_list], figures["list_rows"][of_list]) == (1, 1)
    matched, ratio = figures["list_matched_people"][of_list], figures["list_match_ratio"][of_list]
    assert matched == ratio > 0


def test_anyone_may_read_the_file_and_no_other_file_remains(run_target: Target, path: Path) -> None:
    assert run_target(STREAM, metrics_path=str(path), **UPSERT).code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [*path.parent.iterdir()] == [path]


def test_a_failed_run_writes_its_figures_and_keeps_the_last_success(
    emulator: Emulator, run_target: Target, path: Path
) -> None:
    assert run_target(STREAM, metrics_path=str(path), **UPSERT).code == 0
    before = read(path)
    path.write_text(path.read_text().replace(f"{before['run_end_timestamp_seconds'][()]:.0f}", "1700000000"))
    emulator.backend.inject(Fault(method="PATCH", status=500, times=None))
    more = [schema("email"), *people(range(3, 5)), state(2)]
    assert run_target(more, metrics_path=str(path), max_retries=0, **UPSERT).code == 4
    figures = read(path)
    assert figures["run_exit_code"] == {(): 4}
    assert figures["last_success_timestamp_seconds"] == {(): 1_700_000_000}
    assert figures["run_end_timestamp_seconds"][()] > 1_700_000_000
    # The rows came, although they could not be delivered.
    assert figures["last_rows_timestamp_seconds"] == {("customers",): figures["run_end_timestamp_seconds"][()]}


def test_an_empty_run_and_a_dry_run_are_no_success(run_target: Target, path: Path) -> None:
    assert run_target([], metrics_path=str(path), **UPSERT).code == 0
    figures = read(path)
    assert figures["run_exit_code"] == {(): 0}
    assert "last_success_timestamp_seconds" not in figures
    written = path.read_text()
    assert run_target(STREAM, metrics_path=str(path), dry_run=True, **UPSERT).code == 0
    assert path.read_text() == written


def test_a_signal_is_in_the_figures_and_until_then_those_of_the_last_run_stay(
    config: dict[str, Any], path: Path, tmp_path: Path, emulator: Emulator
) -> None:
    path.parent.mkdir()
    path.write_text("of another program\n")
    with running(config, tmp_path, metrics_path=str(path), batch_size_rows=1) as process:
        feed(process, STREAM)
        wait_until(emulator.backend.writes)
        assert path.read_text() == "of another program\n"
        process.terminate()
        process.communicate(timeout=10)
    assert read(path)["run_exit_code"] == {(): 143}


def test_a_path_that_cannot_be_written_is_an_error_before_anything_is_sent(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    run = run_target(STREAM, metrics_path=str(tmp_path / "file" / "readers.prom"))
    assert run.code == 2
    assert "`metrics_path` cannot be written (Not a directory)" in run.stderr
    assert emulator.backend.calls == []
    with pytest.raises(ConfigurationError, match="not a file"):
        MetricsFile(tmp_path)


def test_a_run_whose_figures_cannot_be_written_any_more_still_succeeds(
    config: dict[str, Any], path: Path, tmp_path: Path, emulator: Emulator
) -> None:
    with running(config, tmp_path, metrics_path=str(path), batch_size_rows=1) as process:
        feed(process, STREAM)
        wait_until(emulator.backend.writes)
        path.mkdir()
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert b"The metrics of the run could not be written" in errors


HOSTILE = ['a "quoted" one', "back\\slash", "two\nlines", "}{,=", "ünïcode", "\udc80", ""]


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_can_be_a_label(name: str, tmp_path: Path) -> None:
    stream = StreamReport(
        name, rows=1, deleted_rows=0, unmatched_deletes=0, held_out_rows=0, received=0, added=0, unchanged=0,
        duplicate=0, refused=0, named_for_removal=0, held_out=0, rejected=0, rejects=[], notes=[],
    )  # fmt: skip
    began = moment(1_700_000_000)
    report = RunReport("target", began, dry_run=False, finished_at=began, exit_code=4, streams=[stream])
    path = tmp_path / "x.prom"
    path.write_text(render(run_metrics(report, {}), loader=name), encoding="utf-8")
    (shown,) = read(path, loader=name.encode("unicode_escape").decode() if not name.isprintable() else name)["run_rows"]
    # The run after it knows the stream again.
    again = parse(path.read_text(encoding="utf-8"))
    assert again["run_rows"] == {(("stream", shown[0]),): 1.0}
    later = RunReport("target", began, dry_run=False, finished_at=moment(1_700_000_060), exit_code=4)
    kept = {gauge.name: gauge.samples for gauge in run_metrics(later, again)}
    assert kept["last_rows_timestamp_seconds"] == {(("stream", shown[0]),): 1_700_000_000}


def test_a_label_holds_no_address() -> None:
    gauge = Gauge("run_rows", "Rows.", {(("stream", "x"),): 1})
    assert 'loader="[address]"' in render([gauge], "jane@example.com")


def test_a_time_in_the_future_and_a_stream_that_is_gone_are_dropped() -> None:
    gone, future = (("stream", "gone"),), (("stream", "future"),)
    before: dict[str, Samples] = {
        "last_success_timestamp_seconds": {(): 1_900_000_000.0},
        "last_rows_timestamp_seconds": {gone: 1_600_000_000.0, future: 1_900_000_000.0},
    }

    def after(exit_code: int) -> dict[str, Any]:
        now = moment(1_700_000_000)
        report = RunReport("target", now, dry_run=False, finished_at=now, exit_code=exit_code)
        return {gauge.name: gauge.samples for gauge in run_metrics(report, before)}

    assert after(0)["last_success_timestamp_seconds"] == {(): 1_700_000_000}
    assert after(0)["last_rows_timestamp_seconds"] == {}
    assert after(4)["last_success_timestamp_seconds"] == {}
    assert after(4)["last_rows_timestamp_seconds"] == {gone: 1_600_000_000}
