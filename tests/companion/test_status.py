"""The command `pinterest-audience status` against the emulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.messages import schema
from tests.support.processes import Companion, Target

SETTINGS: dict[str, Any] = {"load_method": "upsert", "list_name_column": "list"}


def row(number: int, name: str) -> dict[str, Any]:
    fields = {"id": number, "email": f"p{number}@example.com", "list": name}
    return {"type": "RECORD", "stream": "customers", "record": fields}


@pytest.fixture
def ran(run_target: Target) -> None:
    """A list with enough people, and one that is too small."""
    rows = [row(n, "big" if n < 120 else "small") for n in range(130)]
    done = run_target([schema("email", "list"), *rows, {"type": "STATE", "value": {}}], **SETTINGS)
    assert done.code == 0, done.stderr


def told(run_companion: Companion, *options: str) -> dict[str, Any]:
    shown = run_companion("status", "--json", *options, **SETTINGS)
    assert shown.code == 0, shown.stderr
    result: dict[str, Any] = json.loads(shown.stdout)
    return result


@pytest.mark.usefixtures("ran")
class TestStatus:
    def test_each_list_has_its_figures_and_what_needs_doing_comes_first(
        self, emulator: Emulator, run_companion: Companion
    ) -> None:
        before = len(emulator.backend.calls)
        shown = told(run_companion)
        assert [each.path.rpartition("/")[2] for each in emulator.backend.calls[before:]] == ["audiences"]
        small, big = shown["lists"]
        assert (small["name"], small["problem"]) == ("small", "Too small: Pinterest needs 100 people. Add rows.")
        assert (big["name"], big["members"], big["contributing_rows"], big["problem"]) == ("big", 120, 120, None)
        assert big["id"] in {each.id for each in emulator.backend.customer_lists()}
        assert (shown["asked_pinterest"], shown["newest_run"]["outcome"]) == (True, "done")
        assert shown["last_success"] == shown["newest_run"]["ended"]
        assert big["last_rows"] is not None

    def test_offline_shows_what_the_last_run_recorded(self, emulator: Emulator, run_companion: Companion) -> None:
        before = len(emulator.backend.calls)
        shown = told(run_companion, "--offline")
        assert len(emulator.backend.calls) == before
        assert (shown["asked_pinterest"], {each["audience_status"] for each in shown["lists"]}) == (False, {None})
        assert {each["name"]: each["members"] for each in shown["lists"]} == {"small": 10, "big": 120}

    def test_it_goes_on_without_pinterest(self, emulator: Emulator, run_companion: Companion) -> None:
        emulator.backend.inject(Fault(method="GET", times=None, status=403, body={"code": 3, "message": "no"}))
        shown = run_companion("status", **SETTINGS)
        assert shown.code == 0
        assert "Pinterest cannot be asked, so the figures are those of the last run." in shown.stderr
        assert " big " in shown.stdout

    def test_a_failed_run_is_named_with_the_last_success(
        self, emulator: Emulator, run_target: Target, run_companion: Companion
    ) -> None:
        success = told(run_companion, "--offline")["last_success"]
        emulator.backend.inject(Fault(method="PATCH", times=None, status=403, body={"code": 3, "message": "no"}))
        assert run_target([schema("email", "list"), row(1000, "big")], **SETTINGS).code == 3
        lines = run_companion("status", "--offline", **SETTINGS).stdout.splitlines()
        assert lines[0].startswith("Newest run: ")
        assert lines[0].endswith(f", failed: not authorised by Pinterest. Last success: {success}.")
        shown = told(run_companion, "--offline")
        assert {each["name"]: each["problem"] for each in shown["lists"]}["big"] == (
            "1 identity is pending: run the target again."
        )


def test_a_ledger_without_lists_asks_nothing_of_pinterest(
    emulator: Emulator, run_companion: Companion, run_target: Target
) -> None:
    assert run_target([schema("email", "list"), {"type": "STATE", "value": {}}], **SETTINGS).code == 0
    before = len(emulator.backend.calls)
    shown = run_companion("status", **SETTINGS)
    assert (shown.code, len(emulator.backend.calls)) == (0, before)
    assert "The ledger knows no lists of this ad account." in shown.stdout


def test_without_a_ledger_the_error_names_the_place(run_companion: Companion, tmp_path: Path) -> None:
    refused = run_companion("status")
    assert (refused.code, str(tmp_path / "ledger.db") in refused.stderr) == (2, True), refused.stderr
