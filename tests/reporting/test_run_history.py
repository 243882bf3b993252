"""What each run leaves in the ledger for people, however it ended."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.ledger.history import HistoryEntry
from target_pinterest_audience.ledger.open import open_ledger
from tests.support.account import ACCOUNT
from tests.support.messages import address, deleted, people, record, schema, state
from tests.support.processes import Companion, Prune, Target, command, environment, feed, lines, running
from tests.support.waiting import wait_until

EMAIL = schema("email")
UPSERT = {"load_method": "upsert"}
OVERWRITE = {"load_method": "overwrite"}


def history(emulator: Emulator, folder: Path) -> list[HistoryEntry]:
    """The history, the oldest first."""
    url = f"sqlite:///{folder}/ledger.db"
    with closing(open_ledger(url, emulator.url, ACCOUNT, wait_seconds=1)) as ledger:
        return ledger.history.entries(1_000)[::-1]


def exit_codes(entries: list[HistoryEntry]) -> list[int | None]:
    return [each.ending.exit_code if each.ending is not None else None for each in entries]


def changes(entry: HistoryEntry) -> list[tuple[int | None, int, int]]:
    """Members, added and removed of the lists that anybody came to or left."""
    return [(each.members, each.added, each.removed) for each in entry.lists if each.added or each.removed]


def test_a_run_is_recorded_with_its_figures(emulator: Emulator, run_target: Target, tmp_path: Path) -> None:
    message = schema("email", "idfa", "lr_id", "_sdc_deleted_at")
    odd = [record(id=90, email="no address"), record(id=91, email="nor this"), record(id=92, idfa="x", lr_id="a b")]
    run_target([message, *people(range(5)), record(id=5, lr_id="XY1234"), *odd], **UPSERT)
    calls = len(emulator.backend.calls)
    run_target([message, *people(range(4)), deleted(4)], **UPSERT)
    first, second = history(emulator, tmp_path)
    assert (first.kind, second.kind, exit_codes([first, second])) == ("run", "run", [0, 0])
    assert first.ending is not None
    assert first.ending.calls == calls
    assert first.started <= first.ending.at <= second.started
    mixed, opaque = first.lists
    assert mixed[1:-2] == (5, None, 5, 0, 0)
    assert mixed.rejected == {"NOT_AN_EMAIL": 2, "NOT_A_UUID": 1}
    assert opaque[1:] == (1, None, 1, 0, 0, {"NOT_AN_OPAQUE_ID": 1}, 1)
    assert mixed.contributing_rows == 5
    assert changes(second) == [(4, 0, 1)]


def test_an_append_only_run_has_no_entry(emulator: Emulator, run_target: Target, tmp_path: Path) -> None:
    run_target([EMAIL, *people(range(5))], **UPSERT)
    # It finds the ledger, and notes in it that it ended well.
    assert run_target([EMAIL, *people(range(5))], customer_list_name="others", load_method="append-only").code == 0
    (entry,) = history(emulator, tmp_path)
    assert changes(entry) == [(5, 5, 0)]
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
        assert ledger.execute("SELECT outcome FROM runs ORDER BY run").fetchall() == [("clean",), ("clean",)]


def test_a_run_that_changes_nothing_has_an_entry_without_lists(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    for _ in range(2):
        run_target([EMAIL, *people(range(5))], **UPSERT)
    assert [changes(each) for each in history(emulator, tmp_path)] == [[(5, 5, 0)], []]


def test_a_failed_run_is_recorded_with_its_exit_code(emulator: Emulator, run_target: Target, tmp_path: Path) -> None:
    run_target([EMAIL, *people(range(60))], **UPSERT)
    changed = [record(id=n, email=None) for n in range(60)]
    assert run_target([EMAIL, *changed], **UPSERT).code == 6
    assert run_target(lines([EMAIL, *people([70])]) + b"{", **UPSERT).code == 8
    emulator.backend.inject(Fault(method="PATCH", status=500))
    assert run_target([EMAIL, *people([71])], max_retries=0, **UPSERT).code == 4
    assert run_target([EMAIL], access_token="wrong", **UPSERT).code == 3
    entries = history(emulator, tmp_path)
    assert exit_codes(entries) == [0, 6, 8, 4, 3]
    errors = [each.ending.error for each in entries if each.ending is not None]
    assert errors[0] is None
    assert all(
        words in str(error)
        for words, error in zip(
            ("If this is intended, raise the setting", "The tap", "PATCH", "access token"),
            errors[1:],
            strict=True,
        )
    ), errors
    assert [change for entry in entries for change in changes(entry)] == [(60, 60, 0), (61, 1, 0)]


def test_a_terminated_or_killed_run_is_recorded(emulator: Emulator, config: dict[str, Any], tmp_path: Path) -> None:
    for end in ("terminate", "kill"):
        with running({**config, **UPSERT}, tmp_path, batch_size_rows=5) as process:
            before = len(emulator.backend.writes())
            feed(process, [EMAIL, *[record(id=n, email=f"{end}{n}@example.com") for n in range(5)]])
            wait_until(lambda before=before: len(emulator.backend.writes()) > before)  # type: ignore[misc]
            getattr(process, end)()
            process.communicate(timeout=10)
    assert exit_codes(history(emulator, tmp_path)) == [143, None]


def test_waits_for_rate_limits_are_added_up(emulator: Emulator, run_target: Target, tmp_path: Path) -> None:
    emulator.backend.create_list("customers", ["a" * 64])
    emulator.backend.inject(Fault(method="PATCH", status=429, headers={"Retry-After": "1"}, times=2))
    emulator.backend.inject(Fault(method="PATCH", status=500, skip=2))
    run = run_target([EMAIL, *people(range(5))], **UPSERT)
    (entry,) = history(emulator, tmp_path)
    assert entry.ending is not None
    assert (entry.ending.limited_seconds, entry.ending.calls) == (2.0, len(emulator.backend.calls))
    assert f"requests to Pinterest: {entry.ending.calls}, 2 s of waiting for its rate limits" in run.stderr


def test_prune_is_recorded_whether_it_removes_anyone_or_not(
    emulator: Emulator, run_target: Target, run_prune: Prune, tmp_path: Path
) -> None:
    run_target([EMAIL, *people(range(60))], **OVERWRITE)
    run_target([EMAIL, *people(range(40))], **OVERWRITE)
    assert run_prune(**OVERWRITE).code == 6
    assert run_prune("--allow-removal-percent", "50", **OVERWRITE).code == 0
    entries = history(emulator, tmp_path)
    assert [each.kind for each in entries] == ["run", "run", "prune", "prune"]
    assert exit_codes(entries) == [0, 0, 6, 0]
    assert [each.acted_on for each in entries] == [None, None, entries[1].number, entries[1].number]
    assert changes(entries[3]) == [(40, 0, 20)]


def test_a_dry_run_leaves_no_history(emulator: Emulator, run_target: Target, tmp_path: Path) -> None:
    run_target([EMAIL, *people(range(5))], **UPSERT)
    run_target([EMAIL, *people(range(3))], dry_run=True, **UPSERT)
    assert len(history(emulator, tmp_path)) == 1


def test_a_history_that_cannot_be_written_does_not_fail_the_run(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    run_target([EMAIL, *people(range(5))], **UPSERT)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
        ledger.execute(
            "CREATE TRIGGER broken BEFORE UPDATE ON history BEGIN SELECT RAISE(ABORT, 'no room for it'); END"
        )
        ledger.commit()
    run = run_target([EMAIL, *people([8])], **UPSERT)
    assert run.code == 0
    assert "The end of this run is missing from the history of runs" in run.stderr
    assert exit_codes(history(emulator, tmp_path)) == [0, None]


def test_the_number_of_matched_people_is_recorded_if_the_run_finds_out(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    stream = [EMAIL, *[record(id=n, email=address(n)) for n in range(3)]]
    run_target(stream, **UPSERT)
    wait_until(lambda: all(each.size is not None for each in emulator.backend.audiences()))
    run_target(stream, **UPSERT)
    matched = [each.matched for entry in history(emulator, tmp_path) for each in entry.lists]
    assert matched[-1] == emulator.backend.audiences()[0].size


def test_clear_and_forget_are_recorded(
    emulator: Emulator, run_target: Target, run_companion: Companion, tmp_path: Path
) -> None:
    run_target([EMAIL, *people(range(5))], **UPSERT)
    assert run_companion("forget", "--email", address(1), "--yes", **UPSERT).code == 0
    assert run_companion("clear", "--list", "customers", "--yes", **UPSERT).code == 0
    entries = history(emulator, tmp_path)
    assert [each.kind for each in entries] == ["run", "forget", "clear"]
    assert exit_codes(entries) == [0, 0, 0]
    assert [changes(each) for each in entries] == [[(5, 5, 0)], [(4, 0, 1)], [(0, 0, 4)]]


def test_a_clean_run_is_a_success_of_each_list_that_it_read_rows_for(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    def successes() -> dict[int, float]:
        with closing(open_ledger(f"sqlite:///{tmp_path}/ledger.db", emulator.url, ACCOUNT, wait_seconds=1)) as ledger:
            return ledger.catalogue.runs.last_successes()

    run_target([EMAIL, *people(range(5))], customer_list_name="others", **UPSERT)
    run_target([EMAIL, *people(range(5))], **UPSERT)
    others, customers = successes().values()
    assert run_target(lines([EMAIL]) + b"{", **UPSERT).code == 8
    assert run_target([EMAIL], **UPSERT).code == 0
    assert successes()[1] == others
    # The failed run did not count, and the one without a row and a STATE did not either.
    assert successes()[2] == customers
    run_target([EMAIL, state(1)], **UPSERT)
    assert successes()[1] == others
    assert successes()[2] > customers


def test_old_entries_are_deleted_with_their_runs(
    emulator: Emulator, run_target: Target, run_companion: Companion, tmp_path: Path
) -> None:
    for numbers in ([1], [1, 2]):
        run_target([EMAIL, *people(numbers)], **UPSERT)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
        ledger.execute("UPDATE history SET started = started - 1e8 WHERE entry = 1")
        ledger.commit()
    assert run_companion("ledger", "expire", "--older-than", "400", "--yes", **UPSERT).code == 0
    assert [changes(each) for each in history(emulator, tmp_path)] == [[(2, 1, 0)]]


@pytest.mark.parametrize("setting", ["rejects_path", "stdout"])
def test_a_closed_or_full_output_is_not_called_a_bug(
    run_target: Target, run_companion: Companion, config: dict[str, Any], tmp_path: Path, setting: str
) -> None:
    stream = [EMAIL, *people([1]), record(id=2, email="no address"), state(1)]
    if setting == "rejects_path":
        assert run_target(stream, rejects_path="/dev/full", **UPSERT).code == 1
    else:
        with Path("/dev/full").open("wb") as full:
            argv = command({**config, **UPSERT}, tmp_path)
            done = subprocess.run(
                argv, input=lines(stream), stdout=full, stderr=subprocess.PIPE, check=False, env=environment()
            )
        assert done.returncode == 1
    (run,) = json.loads(run_companion("report", "--json").stdout)["runs"]
    assert run["outcome"] == "failed: output closed, disk full, or a bug"


def test_a_history_that_cannot_be_written_does_not_hide_what_ended_a_prune(
    emulator: Emulator, run_target: Target, run_prune: Prune, tmp_path: Path
) -> None:
    for count in (10, 5):
        run_target([EMAIL, *people(range(count))], **OVERWRITE)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
        other.execute("CREATE TRIGGER refuse BEFORE INSERT ON removals BEGIN SELECT RAISE(ABORT, 'refused'); END")
        other.commit()
    emulator.backend.inject(Fault(method="PATCH", skip=1, status=403, body={"code": 29, "message": "no"}))
    pruned = run_prune("--allow-removal-percent", "100", batch_size_rows=2, **OVERWRITE)
    assert pruned.code == 3, pruned.stderr
    assert "The last accepted requests are not recorded" in pruned.stderr
    assert "does not permit" in pruned.stderr.splitlines()[-1]
