"""A run and its ledger: locks, dry runs, ceilings, ledgers that are missing, lists that were made by a dead process."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import Sent, Write, members
from tests.support.messages import address, deleted, digests, people, record, schema, sha256, state
from tests.support.processes import Companion, Prune, Target, command, environment, feed, lines, running
from tests.support.waiting import wait_until

EMAIL = schema("email")
KNOWS_NOTHING = "knows nothing of"


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != "load_method"}


def dump(ledger: Path) -> str:
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
        return "\n".join(connection.iterdump())


# Ceilings


def test_a_run_that_would_remove_too_many_sends_none_of_the_removals(
    emulator: Emulator, run_target: Target, run_prune: Prune, sent: Sent
) -> None:
    run_target([EMAIL, *people(range(60)), state(1)])
    sent()
    stream = [EMAIL, *people([70]), state(2), *[record(id=n, email=address(100 + n)) for n in range(13)], state(3)]
    run = run_target(stream)
    assert (run.code, run.states, sent()) == (6, [], [])
    assert '13 of the 60 members of customer list "customers"' in run.stderr
    assert "Since the last run" not in run.stderr
    assert run_target(stream, max_removal_percent=21, load_method="overwrite").code == 6
    assert run_prune(load_method="overwrite").code == 2
    assert members(emulator) == digests(range(60))
    allowed = run_target(stream, max_removal_percent=22)
    assert (allowed.code, allowed.states) == (0, [state(3)["value"]])
    assert members(emulator) == digests([*range(13, 60), 70, *range(100, 113)])


def test_a_changed_setting_is_named_when_everyone_would_leave(
    emulator: Emulator, run_target: Target, sent: Sent
) -> None:
    run_target([EMAIL, *people(range(60))])
    sent()
    for _ in range(2):
        run = run_target([EMAIL, *people(range(60)), state(1)], hash_algorithm="md5")
        assert (run.code, run.states, sent()) == (6, [], [])
        assert "Since the last run `hash_algorithm` changed" in run.stderr
    assert members(emulator) == digests(range(60))


def test_failed_runs_count_towards_the_ceiling(emulator: Emulator, run_target: Target) -> None:
    run_target([EMAIL, *people(range(60))])

    def moved(numbers: range) -> str:
        return lines([EMAIL, *[record(id=n, email=address(100 + n)) for n in numbers]]).decode()

    assert run_target(moved(range(9)) + '{"half a').code == 8
    assert run_target(moved(range(9, 18))).code == 6
    assert members(emulator) == digests([*range(100, 109), *range(9, 60)])
    assert run_target(moved(range(9, 12))).code == 0


def test_many_clean_runs_together_do_not_exceed_the_ceiling_until_a_person_allows_it(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    overwrite = {"load_method": "overwrite"}
    run_target([EMAIL, *people(range(100))], **overwrite)
    for left in (85, 72):
        assert run_target([EMAIL, *people(range(left))], **overwrite).code == 0
        pruned = run_prune(**overwrite)
    assert pruned.code == 6
    assert 'Over the last 24 hours, 28 of the 100 members of customer list "customers"' in pruned.stderr
    assert members(emulator) == digests(range(85))
    changed = [record(id=n, email=address(200 + n)) for n in range(10)]
    assert run_target([EMAIL, *changed], **overwrite).code == 6
    assert run_target([EMAIL, *people(range(72))], **overwrite).code == 0
    assert run_prune("--allow-removal-percent", "28", **overwrite).code == 0
    assert members(emulator) == digests(range(72))
    assert run_target([EMAIL, *people(range(60))], **overwrite).code == 0
    assert run_prune(**overwrite).code == 0
    assert members(emulator) == digests(range(60))


@pytest.mark.parametrize(("left", "code"), [(1, 6), (5, 6), (6, 0)])
def test_a_small_list_keeps_half_of_its_members(
    emulator: Emulator, run_target: Target, run_prune: Prune, left: int, code: int
) -> None:
    overwrite = {"load_method": "overwrite"}
    run_target([EMAIL, *people(range(11))], **overwrite)
    run_target([EMAIL, *people(range(left))], **overwrite)
    assert run_prune(**overwrite).code == code
    assert members(emulator) == digests(range(11 if code else left))


def test_a_list_that_no_row_names_any_more_has_a_ceiling(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "segment")
    rows = [record(id=n, email=address(n), segment="vip") for n in range(40)]
    routed = {"list_name_column": "segment"}
    run_target([message, *rows], **routed)
    renamed = [record(**{**row["record"], "segment": "VIP"}) for row in rows]
    run = run_target([message, *renamed], **routed)
    assert run.code == 6
    assert '40 of the 40 members of customer list "vip"' in run.stderr
    assert members(emulator, "vip") == digests(range(40))


TURNED = schema("email", "is_deleted")


@pytest.mark.parametrize("dry", [True, False])
def test_an_inverted_deletion_mark_deletes_nobody(
    emulator: Emulator, run_target: Target, sent: Sent, *, dry: bool
) -> None:
    settings = {"removal_column": "is_deleted"}
    run_target([TURNED, *people(range(60))], **settings)
    sent()
    turned = [record(id=n, email=address(n), is_deleted=True) for n in range(60)]
    run = run_target([TURNED, *turned, state(1)], **settings, dry_run=dry, max_removal_percent=100)
    assert (run.code, run.states, sent()) == (6, [], [])
    for words in ('60 of the 60 members of customer list "customers"', "`max_deleted_percent`", "the removal column"):
        assert words in run.stderr
    assert members(emulator) == digests(range(60))
    if not dry:
        assert run_target([TURNED, *turned, state(1)], **settings, max_deleted_percent=100).code == 0
        assert members(emulator) == frozenset()


OBJECTIONS: dict[str, Any] = {
    "customer_list_name": "customers",
    "streams": {"customers": {}, "objections": {"operation": "remove", "removal_column": "is_deleted"}},
}


def objections(numbers: Iterable[int], mark: str | None) -> list[dict[str, Any]]:
    rows = [record("objections", id=n, email=address(n), is_deleted=mark) for n in numbers]
    return [schema("email", "is_deleted", stream="objections"), *rows]


@pytest.mark.parametrize("dry", [True, False])
def test_an_inverted_deletion_mark_lets_nobody_in_who_objected(
    emulator: Emulator, run_target: Target, sent: Sent, *, dry: bool
) -> None:
    customers = [schema("email"), *people(range(60))]
    run_target([*customers, *objections(range(30), None)], **OBJECTIONS)
    assert members(emulator) == digests(range(30, 60))
    sent()
    turned = [*objections(range(30), "active"), state(1)]
    run = run_target(turned, **OBJECTIONS, dry_run=dry)
    assert (run.code, run.states, sent()) == (6, [], [])
    for words in (
        "100 % of the people who must not be on customer list",
        "`max_deleted_percent`",
        "the removal column",
    ):
        assert words in run.stderr
    if not dry:
        assert run_target([*objections(range(10), "active"), state(1)], **OBJECTIONS).code == 0
        assert members(emulator) == digests({*range(10), *range(30, 60)})
        assert run_target(turned, **OBJECTIONS, max_deleted_percent=100).code == 0
        assert members(emulator) == digests(range(60))


def test_many_who_objected_come_in_if_more_stay_off(emulator: Emulator, run_target: Target) -> None:
    run_target([schema("email"), *people(range(60)), *objections(range(40), None)], **OBJECTIONS)
    assert run_target(objections(range(20), "yes"), **OBJECTIONS).code == 0
    assert members(emulator) == digests({*range(20), *range(40, 60)})


def test_a_changed_setting_is_named_when_everyone_would_be_deleted(run_target: Target) -> None:
    rows = [record(id=n, email=address(n), seen="yes") for n in range(60)]
    run_target([schema("email", "seen"), *rows])
    run = run_target([schema("email", "seen"), *rows], removal_column="seen")
    assert run.code == 6
    assert "Since the last run `removal_column` changed" in run.stderr


def test_deletes_of_many_small_or_killed_runs_add_up(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "_sdc_deleted_at")
    run_target([message, *people(range(60))])
    assert run_target([message, *map(deleted, range(12))]).code == 0
    # The same rows once more count once.
    assert run_target(lines([message, *map(deleted, range(24))]) + b'{"half a').code == 8
    assert run_target([message, *map(deleted, range(30))]).code == 0
    stopped = run_target([message, *map(deleted, range(31))])
    assert stopped.code == 6
    assert "Over the last 24 hours, 31 of the 60 members" in stopped.stderr
    assert members(emulator) == digests(range(30, 60))


def test_deleted_rows_that_name_unknown_people_do_not_count(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "_sdc_deleted_at")
    run_target([message, *people(range(20))])
    strangers = [deleted(n, email=address(n)) for n in range(100, 200)]
    assert run_target([message, *strangers, state(1)], max_deleted_percent=0).code == 0
    assert members(emulator) == digests(range(20))


def test_people_added_and_removed_in_the_first_run_meet_no_ceiling(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "_sdc_deleted_at")
    stream = [message, *people(range(60)), *map(deleted, range(50))]
    assert run_target(stream, batch_size_rows=10).code == 0
    assert members(emulator) == digests(range(50, 60))


def test_after_clear_the_counts_of_the_day_start_again(
    emulator: Emulator, run_target: Target, run_companion: Companion
) -> None:
    message = schema("email", "_sdc_deleted_at")
    run_target([message, *people(range(60))])
    assert run_target([message, *map(deleted, range(30))]).code == 0
    assert run_companion("clear", "--list", "customers", "--yes").code == 0
    run_target([message, *people(range(60))])
    assert run_target([message, *map(deleted, range(30))]).code == 0
    assert members(emulator) == digests(range(30, 60))


@pytest.mark.parametrize("dry", [False, True])
def test_refusals_of_most_members_are_a_warning_and_not_an_error(
    emulator: Emulator, run_target: Target, *, dry: bool
) -> None:
    message, asks = schema("email", "consent"), {"consent_column": "consent"}
    run_target([message, *(record(id=n, email=address(n), consent="yes") for n in range(40))], **asks)
    strangers = [record(id=n, email=address(n), consent=None) for n in range(100, 150)]
    few = run_target([message, *strangers, *(record(id=n, email=address(n), consent=None) for n in range(20))], **asks)
    assert "rows refuse them" not in few.stderr
    run_target([message, *(record(id=n, email=address(n), consent="yes") for n in range(20))], **asks)
    run = run_target([message, *(record(id=n, email=address(n), consent=None) for n in range(30))], **asks, dry_run=dry)
    assert run.code == 0
    verb = "would leave" if dry else "left"
    assert f'30 of the 40 members of customer list "customers" (id {emulator.backend.customer_lists()[0].id})' in (
        run.stderr
    )
    assert f"{verb} in this run because rows refuse them" in run.stderr


# Locks


def test_a_second_process_waits_and_then_names_the_holder_of_the_list(
    emulator: Emulator, run_target: Target, config: dict[str, Any], tmp_path: Path
) -> None:
    with running(config, tmp_path, batch_size_rows=5) as first:
        feed(first, [schema("email", stream="a"), *people(range(5), "a")])
        wait_until(lambda: len(emulator.backend.writes()) == 1)
        for name in ("a", "b"):
            stream = [schema("email", stream=name), *people([9], name), state(1)]
            second = run_target(stream, lock_wait_seconds=1, customer_list_name="a")
            assert (second.code, second.states) == (7, [])
            assert f"process {first.pid} on {socket.gethostname()}" in second.stderr
            assert "`lock_wait_seconds`" in second.stderr
            told = [line for line in second.stderr.splitlines() if "Waiting at most 1 s (`lock_wait_seconds`)" in line]
            assert len(told) == 1
            what = "source a" if name == "a" else 'customer list "a"'
            assert f"Another run has {what}: process {first.pid} on {socket.gethostname()}" in told[0]
        other = run_target([schema("email", stream="b"), *people([1], "b")], lock_wait_seconds=0)
        assert other.code == 0, other.stderr
        appended = run_target([schema("email", stream="a"), *people([9], "a")], load_method="append-only")
        assert appended.code == 2
        assert first.stdin is not None
        first.stdin.close()
        assert first.wait(20) == 0
    assert members(emulator, "a") == digests(range(5))
    assert members(emulator, "b") == digests([1])
    assert run_target([schema("email", stream="a"), *people([9], "a")], lock_wait_seconds=0).code == 0


def test_a_lock_ends_with_its_process(
    emulator: Emulator, run_target: Target, config: dict[str, Any], tmp_path: Path
) -> None:
    with running(config, tmp_path, batch_size_rows=5) as first:
        feed(first, [EMAIL, *people(range(5))])
        wait_until(lambda: len(emulator.backend.writes()) == 1)
        assert run_target([EMAIL, *people([9])], lock_wait_seconds=0).code == 7
        first.kill()
        first.wait()
        assert run_target([EMAIL, *people([9])], lock_wait_seconds=0).code == 0
    assert members(emulator) == digests([*range(5), 9])


def test_a_list_that_was_just_created_is_locked_by_its_id_too(
    emulator: Emulator, run_target: Target, config: dict[str, Any], tmp_path: Path
) -> None:
    with running(config, tmp_path, batch_size_rows=5) as first:
        assert first.stdin is not None
        assert first.stdout is not None
        first.stdin.write(lines([EMAIL, *people(range(5)), state(1)]))
        first.stdin.flush()
        first.stdout.readline()
        (made,) = emulator.backend.customer_lists()
        stream = [schema("email", stream="b"), *people([9], "b")]
        assert run_target(stream, customer_list_id=made.id, lock_wait_seconds=0).code == 7


def test_prune_waits_for_a_run_and_gives_up(
    emulator: Emulator, run_target: Target, run_prune: Prune, config: dict[str, Any], tmp_path: Path
) -> None:
    run_target([EMAIL, *people(range(5))], load_method="overwrite")
    with running(config, tmp_path, load_method="upsert", batch_size_rows=1, source_name="customers") as first:
        feed(first, [EMAIL, *people([8])])
        wait_until(lambda: len(emulator.backend.writes()) == 2)
        assert run_prune(load_method="overwrite", lock_wait_seconds=0).code == 7
    assert members(emulator) == digests([*range(5), 8])


# Dry runs


@pytest.mark.parametrize("existing", [True, False])
def test_a_dry_run_reports_what_it_would_send_and_changes_nothing(
    emulator: Emulator, run_target: Target, tmp_path: Path, sent: Sent, *, existing: bool
) -> None:
    message, ledger = schema("email", "_sdc_deleted_at"), tmp_path / "ledger.db"
    if existing:
        run_target([message, *people(range(5))])
        before = dump(ledger)
    calls, _ = len(emulator.backend.calls), sent()
    stream = [message, *people([0, 1, 7]), deleted(3), deleted(4), record(id=2, email=None), state(1)]
    run = run_target(stream, dry_run=True)
    assert (run.code, run.states, sent()) == (0, [], [])
    assert all(call.method == "GET" for call in emulator.backend.calls[calls:])
    assert "dry run, nothing was sent" in run.stderr
    if existing:
        assert "would send 1 identity to add, 3 to remove" in run.stderr
        assert dump(ledger) == before
    else:
        assert "would send 3 identities to add, 0 to remove" in run.stderr
        assert not list(tmp_path.glob("ledger*"))
    assert run_target(stream).code == 0
    assert members(emulator) == digests([0, 1, 7])


def test_a_dry_run_respects_the_ceiling(run_target: Target) -> None:
    run_target([EMAIL, *people(range(60))])
    assert run_target([EMAIL, *[record(id=n, email=None) for n in range(13)]], dry_run=True).code == 6


# Ledgers that know nothing, lists that the ledger knows


def test_a_new_list_is_not_a_warning(run_target: Target) -> None:
    for _ in range(2):
        run = run_target([EMAIL, *people([1])], missing_ledger="stop")
        assert run.code == 0
        assert KNOWS_NOTHING not in run.stderr


def test_a_ledger_that_does_not_know_an_existing_list_is_a_warning(
    run_target: Target, tmp_path: Path, sent: Sent
) -> None:
    run_target([EMAIL, *people([1, 2])])
    sent()
    lost = {"ledger_url": f"sqlite:///{tmp_path}/new.db"}
    stopped = run_target([EMAIL, *people([1]), state(1)], missing_ledger="stop", **lost)
    assert (stopped.code, stopped.states, sent()) == (7, [], [])
    assert f"{tmp_path}/new.db {KNOWS_NOTHING}" in stopped.stderr
    warned = run_target([EMAIL, *people([1]), state(1)], **lost)
    assert (warned.code, sent()) == (0, [Write("ADD", digests([1]))])
    assert KNOWS_NOTHING in warned.stderr
    assert KNOWS_NOTHING not in run_target([EMAIL, *people([1])], **lost).stderr


def test_a_list_that_another_program_created_meanwhile_is_a_warning(emulator: Emulator, run_target: Target) -> None:
    assert run_target([EMAIL]).code == 0
    emulator.backend.create_list("customers", digests([9]))
    stopped = run_target([EMAIL, *people([1])], missing_ledger="stop")
    assert stopped.code == 7
    assert KNOWS_NOTHING in stopped.stderr


def test_a_name_leads_to_the_same_list_though_another_takes_it(emulator: Emulator, run_target: Target) -> None:
    run_target([EMAIL, *people([1])])
    (ours,) = emulator.backend.customer_lists()
    other = emulator.backend.create_list("customers", ["a" * 64])
    run = run_target([EMAIL, *people([2])])
    assert run.code == 0
    assert f"(ids {other.id}" in run.stderr or other.id in run.stderr
    assert emulator.backend.members(ours.id) == digests([1, 2])
    assert emulator.backend.members(other.id) == {"a" * 64}


def test_a_list_that_a_killed_process_created_is_found_again(
    emulator: Emulator, run_target: Target, config: dict[str, Any], tmp_path: Path
) -> None:
    emulator.backend.inject(Fault(method="POST", path="/customer_lists$", when="after", reset=True))
    emulator.backend.inject(Fault(method="GET", path="/customer_lists$", status=200, body={"items": []}, skip=1,
                                  times=None))  # fmt: skip
    with running(config, tmp_path) as first:
        assert first.stdin is not None
        first.stdin.write(lines([EMAIL, *people([1, 2])]))
        first.stdin.close()
        wait_until(emulator.backend.customer_lists)
        first.kill()
        first.wait()
    emulator.backend.clear_faults()
    run = run_target([EMAIL, record(id=1, email="new@example.com"), *people([3])], missing_ledger="stop")
    assert run.code == 0, run.stderr
    assert KNOWS_NOTHING not in run.stderr
    assert len(emulator.backend.customer_lists()) == 1
    assert members(emulator) == digests([2, 3]) | {sha256("new@example.com")}


def test_only_the_owner_can_read_the_files_of_a_ledger(run_target: Target, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        run_target([EMAIL, *people([1])])
    finally:
        os.umask(old)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("ledger*") if path.is_file()}
    assert modes["ledger.db"] == 0o600
    assert all(mode == 0o600 for mode in modes.values())


# PostgreSQL


def test_a_missing_driver_is_named_before_anything_else(config: dict[str, Any], tmp_path: Path) -> None:
    program = "import sys; sys.modules['psycopg'] = None; from target_pinterest_audience.main import main; main()"
    argv = command({**config, "ledger_url": "postgresql://host/database"}, tmp_path)
    stream = lines([EMAIL, *people([1])])
    run = subprocess.run(
        [sys.executable, "-c", program, *argv[3:]], input=stream, capture_output=True, check=False, timeout=60,
        env=environment(),
    )  # fmt: skip
    assert run.returncode == 2
    assert b"the extra `postgres`" in run.stderr


# What becomes of the file of a SQLite ledger


@pytest.mark.parametrize("how", ["restored", "deleted"])
def test_a_ledger_that_is_replaced_while_the_tap_is_slow_ends_the_run(
    emulator: Emulator, config: dict[str, Any], run_target: Target, tmp_path: Path, how: str
) -> None:
    run_target([EMAIL, *people(range(3)), state(1)])
    (tmp_path / "backup.db").write_bytes((tmp_path / "ledger.db").read_bytes())
    with running(config, tmp_path, batch_size_rows=5) as process:
        feed(process, [EMAIL, *people(range(8)), state(2)])
        wait_until(lambda: len(emulator.backend.writes()) == 2)
        if how == "restored":
            (tmp_path / "backup.db").replace(tmp_path / "ledger.db")
        else:
            for each in tmp_path.glob("ledger.db*"):
                each.unlink()
        requests = len(emulator.backend.writes())
        feed(process, [*people(range(8, 30)), state(3)])
        stdout, stderr = process.communicate(timeout=60)
    last = stderr.splitlines()[-1].decode()
    assert process.returncode == 7, stderr.decode()
    assert "was moved, deleted or replaced while this process was at work" in last
    assert state(3)["value"] not in [json.loads(line) for line in stdout.splitlines()]
    assert len(emulator.backend.writes()) == requests


def test_an_empty_or_truncated_ledger_is_reported_as_such(
    run_target: Target, run_companion: Companion, sent: Sent, tmp_path: Path
) -> None:
    run_target([EMAIL, *people(range(300)), state(1)])
    sent()
    path = tmp_path / "ledger.db"
    whole = path.read_bytes()
    for content, words in ((b"", "is an empty file"), (whole[: len(whole) // 2], "is damaged or truncated")):
        path.write_bytes(content)
        for run in (
            run_target([EMAIL, *people(range(300)), state(2)]),
            run_companion("report"),
            run_companion("check"),
        ):
            told = f"{run.stdout}{run.stderr}"
            assert run.code == 7, told
            assert words in told
            assert "restore the newest backup" in told
            assert "disk" not in told
    assert sent() == []
    # The second way that the message names.
    path.unlink()
    assert run_target([EMAIL, *people(range(300)), state(2)]).code == 0


def test_a_ledger_with_a_second_name_is_a_warning(run_target: Target, run_companion: Companion, tmp_path: Path) -> None:
    run_target([EMAIL, *people(range(3))])
    (tmp_path / "snapshot.db").hardlink_to(tmp_path / "ledger.db")
    run = run_target([EMAIL, *people(range(3))])
    assert (run.code, run.stderr.count("has another name (a hard link)")) == (0, 1)
    assert "has another name (a hard link)" in run_companion("check").stdout
