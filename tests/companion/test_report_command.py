"""The command `pinterest-audience report`, as a process, after real runs."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.messages import address, deleted, people, record, schema
from tests.support.processes import Companion, Prune, Target, lines

MESSAGE = schema("email", "_sdc_deleted_at")
# How many people Pinterest finds in an audience, and when, would be news of the list.
OVERWRITE = {"load_method": "overwrite", "create_audience": False}


@pytest.fixture
def ran(run_target: Target, run_prune: Prune) -> None:
    """Three runs and a prune: 20 people come, one is deleted and one value is bad, then two are not named any more."""
    run_target([MESSAGE, *people(range(20))], **OVERWRITE)
    run_target([MESSAGE, *people(range(1, 20)), deleted(0), record(id=90, email="no address")], **OVERWRITE)
    run_target([MESSAGE, *people(range(1, 18))], **OVERWRITE)
    assert run_prune(**OVERWRITE).code == 0


@pytest.mark.usefixtures("ran")
class TestReport:
    def test_the_tables_show_additions_removals_and_reasons(self, run_companion: Companion) -> None:
        runs, lists = run_companion("report").stdout.split("\n\n")
        assert runs.splitlines()[0].split() == ["started", "command", "outcome", "seconds", "requests", "waited"]
        assert [line.split()[1:3] for line in runs.splitlines()[1:]] == [["run", "done"]] * 3 + [["prune", "done"]]
        told = [re.split(r" {2,}", line.strip()) for line in lists.splitlines()]
        assert told[0] == [
            "started", "list", "members", "rows", "matched", "match", "added", "removed", "reason", "rejected",
        ]  # fmt: skip
        # How many Pinterest matched by then depends on how fast the machine is.
        assert [each[1:4] + each[6:] for each in told[1:]] == [
            ["customers", "20", "20", "20", "0", "-", "0"],
            ["customers", "19", "19", "0", "1", "1 deleted", "1"],
            ["customers", "17", "17", "0", "2", "2 pruned", "0"],
        ]

    def test_a_run_has_one_number_wherever_it_is_shown(self, run_target: Target, run_companion: Companion) -> None:
        run_target([MESSAGE, *people(range(20))], **OVERWRITE)
        reported = json.loads(run_companion("report", "--json").stdout)["runs"]
        shown = json.loads(run_companion("ledger", "show", "--json").stdout)["runs"]
        assert [each["command"] for each in reported] == ["run", "run", "run", "prune", "run"]
        assert len({each["run"] for each in reported}) == 5
        of_runs = {each["run"]: each["started"] for each in reported if each["command"] == "run"}
        assert {each["run"]: each["started"] for each in shown} == of_runs

    def test_json_has_everything(self, emulator: Emulator, run_companion: Companion) -> None:
        told = json.loads(run_companion("report", "--json").stdout)
        (made,) = emulator.backend.customer_lists()
        (known,) = told["lists"]
        assert (known["id"], known["name"], known["members"], known["contributing_rows"]) == (
            made.id, "customers", 17, 17,
        )  # fmt: skip
        assert [(run["command"], run["exit_code"], len(run["lists"])) for run in told["runs"]] == [
            ("run", 0, 1), ("run", 0, 1), ("run", 0, 0), ("prune", 0, 1),
        ]  # fmt: skip
        (step,) = told["runs"][1]["lists"]
        assert step["rejected"] == {"not an e-mail address": 1}
        assert step["causes"] == {"delete": 1}
        assert [each["causes"] for each in told["removals"]] == [{"delete": 1}, {"prune": 2}]
        assert all(each["request_id"].isdigit() for each in told["removals"])

    def test_the_newest_runs_and_one_list_can_be_chosen(self, emulator: Emulator, run_companion: Companion) -> None:
        last = json.loads(run_companion("report", "--json", "--last", "2").stdout)
        assert [run["command"] for run in last["runs"]] == ["run", "prune"]
        assert [each["causes"] for each in last["removals"]] == [{"prune": 2}]
        (made,) = emulator.backend.customer_lists()
        for which in (made.id, "customers"):
            told = json.loads(run_companion("report", "--json", "--list", which).stdout)
            assert len(told["runs"]) == 4
        refused = run_companion("report", "--list", "nobody")
        assert (refused.code, "no customer list with that id or name" in refused.stderr) == (2, True)

    def test_each_removal_can_be_shown(self, run_companion: Companion) -> None:
        shown = run_companion("report", "--removals").stdout.splitlines()
        assert shown[0].split() == ["time", "list", "removed", "reason", "request"]
        assert [line.split()[2:5] for line in shown[1:]] == [["1", "1", "deleted"], ["2", "2", "pruned"]]

    def test_only_the_owner_can_read_the_page(self, run_companion: Companion, tmp_path: Path) -> None:
        path = tmp_path / "new" / "page.html"
        written = run_companion("report", "--html", str(path))
        assert (written.code, written.stdout) == (0, f"Wrote {path}\n")
        page = path.read_text(encoding="utf-8")
        assert page.startswith('<!doctype html>\n<html lang="en">')
        assert "<dt>Identities</dt><dd>17</dd>" in page
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [each.name for each in path.parent.iterdir()] == ["page.html"]

    def test_a_symbolic_link_to_the_page_stays(self, run_companion: Companion, tmp_path: Path) -> None:
        link, page = tmp_path / "link.html", tmp_path / "published.html"
        page.touch()
        link.symlink_to(page)
        assert run_companion("report", "--html", str(link)).code == 0
        assert link.is_symlink()
        assert page.read_text(encoding="utf-8").startswith("<!doctype html>")

    def test_only_a_regular_file_is_replaced(self, run_companion: Companion, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        assert run_companion("report", "--html", str(pipe)).code == 2
        assert pipe.is_fifo()

    def test_a_page_that_cannot_be_written_is_an_error(self, run_companion: Companion, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        refused = run_companion("report", "--html", str(tmp_path / "file" / "page.html"))
        assert (refused.code, "cannot be written" in refused.stderr) == (2, True)

    def test_options_that_exclude_each_other_are_refused(self, run_companion: Companion, tmp_path: Path) -> None:
        assert run_companion("report", "--html", str(tmp_path / "page.html"), "--json").code == 2


@pytest.fixture
def failed(emulator: Emulator, run_target: Target) -> str:
    """Two runs that Pinterest forbids, then one whose stream breaks: the error message of the first two."""
    run_target([MESSAGE, *people(range(3))], **OVERWRITE)
    body = {"code": 3, "message": f"Forbidden for {address(9)}"}
    emulator.backend.inject(Fault(method="PATCH", times=2, status=403, body=body))
    for number in (10, 11):
        last = run_target([MESSAGE, *people([number])], **OVERWRITE)
        assert last.code == 3
    assert run_target(lines([MESSAGE]) + b"{", **OVERWRITE).code == 8
    return last.stderr.splitlines()[-1].rpartition("| ")[2].partition(" (HTTP")[0]


@pytest.mark.usefixtures("failed")
class TestErrors:
    def test_json_has_the_message_of_each_run_that_failed(self, failed: str, run_companion: Companion) -> None:
        told = [run["error"] for run in json.loads(run_companion("report", "--json").stdout)["runs"]]
        assert told[0] is None
        assert [error.startswith(failed) for error in told[1:]] == [True, True, False]
        assert "Line 2 of the stream" in told[3]

    def test_status_has_the_message_of_the_newest_run(self, run_companion: Companion) -> None:
        newest = json.loads(run_companion("status", "--offline", "--json").stdout)["newest_run"]
        assert "Line 2 of the stream" in newest["error"]
        assert run_companion("status", "--offline").stdout.splitlines()[1] == newest["error"]

    def test_the_tables_are_followed_by_the_messages_newest_first(self, failed: str, run_companion: Companion) -> None:
        runs, _, errors = run_companion("report").stdout.split("\n\n")
        starts = [line.split()[0] for line in runs.splitlines()[1:]]
        heading, *told = errors.splitlines()
        assert heading == "Errors, newest first:"
        assert [line.split(", run: ")[0] for line in told] == [f"- {start}" for start in starts[:0:-1]]
        assert "Line 2 of the stream" in told[0]
        assert failed in told[1]

    def test_the_page_has_the_message_until_a_later_run_repairs_it(
        self, failed: str, run_target: Target, run_companion: Companion, tmp_path: Path
    ) -> None:
        path = tmp_path / "page.html"
        assert run_companion("report", "--html", str(path)).code == 0
        assert "Line 2 of the stream" in path.read_text(encoding="utf-8")
        assert run_target([MESSAGE, *people(range(3))], **OVERWRITE).code == 0
        assert run_companion("report", "--html", str(path)).code == 0
        assert "Line 2 of the stream" not in path.read_text(encoding="utf-8")
        assert failed in run_companion("report").stdout

    def test_no_message_has_a_value(self, run_companion: Companion) -> None:
        shown = [run_companion("report").stdout, run_companion("report", "--json").stdout]
        assert [("Forbidden for [address]" in each, "@example" in each) for each in shown] == [(True, False)] * 2


def test_report_sends_no_request_to_pinterest(emulator: Emulator, run_target: Target, run_companion: Companion) -> None:
    run_target([MESSAGE, *people(range(3))], **OVERWRITE)
    before = len(emulator.backend.calls)
    assert run_companion("report").code == 0
    assert len(emulator.backend.calls) == before


def test_without_a_ledger_the_error_names_its_place(run_companion: Companion, tmp_path: Path) -> None:
    refused = run_companion("report")
    assert (refused.code, f"no ledger at {tmp_path}/ledger.db" in refused.stderr) == (2, True)
