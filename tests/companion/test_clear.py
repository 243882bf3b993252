"""`pinterest-audience clear`: everybody who was sent to a list leaves it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import Sent, Write, members
from tests.support.messages import address, deleted, digests, people, record, schema
from tests.support.processes import Companion, KillCompanion, Target, feed, running
from tests.support.waiting import wait_until

EMAIL = schema("email")
LIST = "customers"
CLEAR = ("clear", "--list", LIST, "--yes")
STRANGER = "f" * 64


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "load_method": "upsert"}


@pytest.mark.parametrize("choice", ["id", "name", "settings"])
def test_clear_removes_everyone_who_was_sent_and_nobody_else(
    emulator: Emulator, run_target: Target, run_companion: Companion, sent: Sent, choice: str
) -> None:
    emulator.backend.create_list(LIST, [STRANGER])
    run_target([EMAIL, *people(range(30))])
    sent()
    (made,) = emulator.backend.customer_lists()
    if choice == "settings":
        cleared = run_companion("clear", "--yes", customer_list_name=LIST)
    else:
        cleared = run_companion("clear", "--list", made.id if choice == "id" else LIST, "--yes")
    assert cleared.code == 0, cleared.stderr
    assert "30 to remove" in cleared.stdout
    assert sent() == [Write("REMOVE", digests(range(30)))]
    assert members(emulator) == {STRANGER}


def test_a_list_is_cleared_once_and_filled_again_by_the_next_full_run(
    emulator: Emulator, run_target: Target, run_companion: Companion, sent: Sent
) -> None:
    run_target([EMAIL, *people(range(30))])
    assert run_companion(*CLEAR).code == 0
    sent()
    again = run_companion(*CLEAR)
    assert (again.code, sent()) == (0, [])
    assert "There is no one to remove" in again.stdout
    # Above any ceiling: the list is new to the ledger, as it were.
    run_target([EMAIL, *people(range(30))], max_removal_percent=0)
    run_target([EMAIL, *people(range(1)), *(record(id=n, email=address(100 + n)) for n in range(1, 11))])
    assert members(emulator) == digests([0, *range(101, 111), *range(11, 30)])


def test_scripts_get_the_counts(run_target: Target, run_companion: Companion, emulator: Emulator) -> None:
    run_target([EMAIL, *people(range(7))])
    (made,) = emulator.backend.customer_lists()
    told = json.loads(run_companion(*CLEAR, "--json", batch_size_rows=5).stdout)
    assert told == {
        "customer_list_id": made.id, "customer_list": LIST, "removed": 7, "refused": 0, "requests": 2, "dry_run": False,
    }  # fmt: skip


def test_clear_asks_for_confirmation(emulator: Emulator, run_target: Target, run_companion: Companion) -> None:
    run_target([EMAIL, *people(range(7))])
    refused = run_companion("clear", "--list", LIST)
    assert refused.code == 2
    assert "(7 identities)" in refused.stderr
    assert "--yes" in refused.stderr
    assert members(emulator) == digests(range(7))


@pytest.mark.parametrize("by", ["option", "setting"])
def test_a_dry_run_reports_and_changes_nothing(
    run_target: Target, run_companion: Companion, sent: Sent, by: str
) -> None:
    run_target([EMAIL, *people(range(7))])
    sent()
    if by == "option":
        dry = run_companion("clear", "--list", LIST, "--dry-run")
    else:
        dry = run_companion("clear", "--list", LIST, dry_run=True)
    assert dry.code == 0, dry.stderr
    assert "7 to remove" in dry.stdout
    run_target([EMAIL, *people(range(7))])
    assert sent() == []


def test_other_lists_and_sources_and_all_refusals_stay_as_they_are(
    emulator: Emulator, run_target: Target, run_companion: Companion
) -> None:
    message = schema("email", "consent", "lr_id", "_sdc_deleted_at")
    settings = {"consent_column": "consent"}
    rows = [record(id=n, email=address(n), consent=n != 3, lr_id=f"XY{n}") for n in range(5)]
    run_target([message, *rows], **settings)
    run_target([schema("email", stream="leads"), *people([1, 3, 8], "leads")], customer_list_name=LIST)
    assert run_companion(*CLEAR).code == 0
    assert members(emulator) == frozenset()
    assert members(emulator, "customers - LR_ID") == {"XY0", "XY1", "XY2", "XY4"}
    run_target([schema("email", stream="leads"), *people([1, 3, 8], "leads")], customer_list_name=LIST)
    assert members(emulator) == digests([1, 8])
    run_target([message, deleted(1)], **settings)
    assert members(emulator, "customers - LR_ID") == {"XY0", "XY2", "XY4"}
    assert members(emulator) == digests([1, 8])


def test_notes_of_an_interrupted_run_are_removed_too(
    emulator: Emulator, run_target: Target, run_companion: Companion
) -> None:
    run_target([EMAIL, *people(range(3))])
    emulator.backend.inject(Fault(method="PATCH", status=500, when="after"))
    assert run_target([EMAIL, *people(range(6))], max_retries=0).code == 4
    assert members(emulator) == digests(range(6))
    assert run_companion(*CLEAR).code == 0
    assert members(emulator) == frozenset()


def test_a_killed_clear_can_be_repeated(
    emulator: Emulator, run_target: Target, run_companion: Companion, kill_companion: KillCompanion
) -> None:
    run_target([EMAIL, *people(range(30))])
    kill_companion(*CLEAR)
    assert members(emulator) == digests(range(30))
    assert run_companion(*CLEAR).code == 0
    assert members(emulator) == frozenset()


def test_the_next_run_finishes_a_killed_clear_though_it_reads_no_rows(
    emulator: Emulator, run_target: Target, kill_companion: KillCompanion
) -> None:
    run_target([EMAIL, *people(range(30))])
    kill_companion(*CLEAR)
    assert run_target([EMAIL, *people([7])]).code == 0
    assert members(emulator) == digests([7])


@pytest.mark.parametrize("feeds", [LIST, "another list"])
def test_clear_waits_for_a_run_on_the_list_or_its_source_and_then_gives_up(
    emulator: Emulator,
    run_target: Target,
    run_companion: Companion,
    config: dict[str, Any],
    tmp_path: Path,
    feeds: str,
) -> None:
    run_target([EMAIL, *people(range(12))])
    calls = len(emulator.backend.calls)
    with running(config, tmp_path, customer_list_name=feeds) as process:
        feed(process, [EMAIL])
        wait_until(lambda: len(emulator.backend.calls) > calls)
        refused = run_companion(*CLEAR, lock_wait_seconds=1)
    assert (refused.code, "Another run" in refused.stderr) == (7, True)
    assert members(emulator) == digests(range(12))


def test_a_list_that_pinterest_no_longer_has_needs_no_request(
    emulator: Emulator, run_target: Target, run_companion: Companion
) -> None:
    run_target([EMAIL, *people(range(3))])
    emulator.backend.reset()
    cleared = run_companion(*CLEAR)
    assert cleared.code == 0, cleared.stderr
    assert emulator.backend.writes() == []


def test_identities_that_pinterest_refuses_to_remove_stay_noted(
    emulator: Emulator, run_target: Target, run_companion: Companion
) -> None:
    run_target([EMAIL, *people(range(3))])
    (bad,) = digests([1])
    emulator.backend.inject(Fault(method="PATCH", record_pattern=bad, times=None))
    refused = run_companion(*CLEAR)
    assert refused.code == 5
    assert bad not in refused.stderr
    assert members(emulator) == {bad}
    told = json.loads(run_companion("report", "--json").stdout)
    assert [(run["command"], run["exit_code"]) for run in told["runs"][-1:]] == [("clear", 5)]
    emulator.backend.clear_faults()
    assert run_companion(*CLEAR).code == 0
    assert members(emulator) == frozenset()


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (("--list", "nobody"), {}, 'Choose one with --list. Known lists: "customers"'),
        ((), {}, 'Choose one with --list. Known lists: "customers"'),
        ((), {"customer_list_name": "nobody"}, "no list that the settings choose"),
        ((), {"customer_list_id": "77"}, "no list that the settings choose"),
    ],
)
def test_an_unknown_or_ambiguous_list_is_refused(
    emulator: Emulator,
    run_target: Target,
    run_companion: Companion,
    arguments: tuple[str, ...],
    settings: dict[str, Any],
    words: str,
) -> None:
    run_target([EMAIL, *people(range(3))])
    refused = run_companion("clear", *arguments, "--yes", **settings)
    assert refused.code == 2
    assert words in refused.stderr
    assert members(emulator) == digests(range(3))


def test_without_a_ledger_clear_exits_2(run_companion: Companion, tmp_path: Path) -> None:
    refused = run_companion(*CLEAR)
    assert (refused.code, f"no ledger at {tmp_path}/ledger.db" in refused.stderr) == (2, True)


def test_two_lists_of_one_name_are_distinguished_by_id(
    emulator: Emulator, run_target: Target, run_companion: Companion
) -> None:
    first, second = (emulator.backend.create_list("twins", ["a" * 64]) for _ in range(2))
    for number, made in enumerate((first, second)):
        run_target([EMAIL, *people([number])], customer_list_id=made.id)
    refused = run_companion("clear", "--list", "twins", "--yes")
    assert refused.code == 2
    assert first.id in refused.stderr
    assert second.id in refused.stderr
    assert run_companion("clear", "--list", second.id, "--yes").code == 0
    assert emulator.backend.members(second.id) == {"a" * 64}
    assert emulator.backend.members(first.id) == {"a" * 64} | digests([0])


def test_no_member_and_no_due_note_stays_in_the_ledger(
    run_target: Target, run_companion: Companion, tmp_path: Path
) -> None:
    run_target([EMAIL, *people(range(3))])
    run_companion(*CLEAR)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
        for table in ("row_says", "members", "unsettled"):
            assert ledger.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,), table  # noqa: S608 - ours
