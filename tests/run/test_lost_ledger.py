"""The drills of docs/guides/lost-ledger.md: from a lost ledger to a clean list, and what stays wrong until then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import Sent, members
from tests.support.ledgers import address as url_of
from tests.support.messages import address, deleted, digests, people, schema
from tests.support.postgres import Database
from tests.support.processes import Companion, Prune, Target

COLUMNS = schema("email", "_sdc_deleted_at")
EMAIL = schema("email")
LIST = "customers"


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "customer_list_name": LIST, "load_method": "overwrite", "max_removal_percent": 100}


@pytest.fixture
def lose(tmp_path: Path) -> Callable[[], None]:
    """Delete the ledger."""

    def delete() -> None:
        for file in tmp_path.glob("ledger.db*"):
            file.unlink()

    return delete


@pytest.fixture
def back_up(run_companion: Companion, tmp_path: Path) -> Callable[[], str]:
    """Make a backup, and return the warnings."""

    def copy() -> str:
        done = run_companion("ledger", "backup", f"{tmp_path}/backup.db", access_token=None)
        assert done.code == 0, done.stderr
        return done.stderr

    return copy


@pytest.fixture
def restore(lose: Callable[[], None], tmp_path: Path) -> Callable[[], None]:
    """Restore the backup, as a new file."""

    def move() -> None:
        lose()
        (tmp_path / "backup.db").rename(tmp_path / "ledger.db")

    return move


def test_with_stop_nothing_is_sent_and_nobody_is_lost(
    emulator: Emulator, run_target: Target, run_companion: Companion, lose: Callable[[], None], sent: Sent
) -> None:
    run_target([EMAIL, *people(range(10))])
    lose()
    sent()
    stopped = run_target([EMAIL, *people(range(9))], missing_ledger="stop")
    assert (stopped.code, stopped.states, sent()) == (7, [], [])
    assert "Set `ledger_url` to the ledger of the former runs." in stopped.stderr
    assert "was the ledger lost" in run_companion("check", missing_ledger="stop").stdout
    assert members(emulator) == digests(range(10))


def test_with_warn_everyone_is_sent_again_and_those_who_left_stay_for_good(
    emulator: Emulator, run_target: Target, run_prune: Prune, lose: Callable[[], None], sent: Sent
) -> None:
    run_target([EMAIL, *people(range(10))])
    lose()
    sent()
    warned = run_target([EMAIL, *people(range(9))])
    assert (warned.code, len(sent())) == (0, 1)
    assert "cannot remove people whom former runs sent and who have left since" in warned.stderr
    assert run_prune().code == 0
    assert run_target([COLUMNS, *people(range(9)), deleted(9)]).code == 0
    assert members(emulator) == digests(range(10))
    # The warning comes once: from now on, the ledger knows the list.
    assert run_target([EMAIL, *people(range(9))], missing_ledger="stop").code == 0


def test_a_delete_that_names_the_person_still_removes_them(
    emulator: Emulator, run_target: Target, lose: Callable[[], None]
) -> None:
    run_target([EMAIL, *people(range(10))])
    lose()
    assert run_target([COLUMNS, *people(range(9)), deleted(9, email=address(9))]).code == 0
    assert members(emulator) == digests(range(9))


class TestBackup:
    def test_a_full_run_and_prune_bring_the_list_back_in_step(
        self,
        emulator: Emulator,
        run_target: Target,
        run_prune: Prune,
        back_up: Callable[[], str],
        restore: Callable[[], None],
    ) -> None:
        run_target([EMAIL, *people(range(10))])
        assert back_up() == ""
        # 0 leaves, 10 comes, and 11 comes and leaves, all after the backup.
        run_target([EMAIL, *people(range(12))])
        run_target([EMAIL, *people(range(1, 11))])
        assert run_prune().code == 0
        run_target([EMAIL, *people([*range(1, 11), 12])])
        restore()
        current = [EMAIL, *people([*range(1, 9), 10])]
        assert run_target(current, missing_ledger="stop").code == 0
        assert run_prune().code == 0
        # 9 left since the loss, and 12 after the backup without the ledger knowing.
        assert members(emulator) == digests([*range(1, 9), 10, 12])

    def test_after_upsert_one_run_with_overwrite_lets_prune_find_who_left(
        self,
        emulator: Emulator,
        run_target: Target,
        run_prune: Prune,
        back_up: Callable[[], str],
        restore: Callable[[], None],
    ) -> None:
        run_target([EMAIL, *people(range(10))], load_method="upsert")
        back_up()
        run_target([COLUMNS, deleted(1), *people([10])], load_method="upsert")
        restore()
        # 2 was deleted while the pipeline stood still: a full refresh does not name the row.
        assert run_target([EMAIL, *people([0, *range(3, 11)])]).code == 0
        assert run_prune().code == 0
        assert members(emulator) == digests([0, *range(3, 11)])
        assert run_target([COLUMNS, deleted(3)], load_method="upsert").code == 0
        assert members(emulator) == digests([0, *range(4, 11)])

    def test_forgotten_people_come_back_until_they_are_forgotten_again(
        self,
        emulator: Emulator,
        run_target: Target,
        run_companion: Companion,
        back_up: Callable[[], str],
        restore: Callable[[], None],
    ) -> None:
        run_target([EMAIL, *people(range(5))])
        back_up()
        forget = ("forget", "--email", address(1), "--yes")
        assert run_companion(*forget).code == 0
        restore()
        assert run_companion(*forget).code == 0
        run_target([EMAIL, *people(range(5))])
        assert members(emulator) == digests([0, 2, 3, 4])

    def test_what_the_backup_has_not_sent_is_sent_and_pruned_by_the_same_pipeline(
        self,
        emulator: Emulator,
        run_target: Target,
        run_prune: Prune,
        back_up: Callable[[], str],
        restore: Callable[[], None],
    ) -> None:
        run_target([EMAIL, *people(range(5))])
        emulator.backend.inject(Fault(method="PATCH", status=500))
        assert run_target([EMAIL, *people(range(6))], max_retries=0).code == 4
        assert "left 1 identity that Pinterest has not accepted yet" in back_up()
        assert run_target([EMAIL, *people(range(6))]).code == 0
        assert run_target([EMAIL, *people(range(5))]).code == 0
        assert run_prune().code == 0
        assert members(emulator) == digests(range(5))
        restore()
        assert run_target([EMAIL, *people(range(5))]).code == 0
        assert members(emulator) == digests(range(6))
        assert run_prune().code == 0
        assert members(emulator) == digests(range(5))

    def test_it_is_private_and_replaces_nothing(
        self, run_target: Target, run_companion: Companion, back_up: Callable[[], str], tmp_path: Path
    ) -> None:
        missing = run_companion("ledger", "backup", f"{tmp_path}/backup.db")
        assert (missing.code, "There is no ledger" in missing.stderr) == (2, True)
        run_target([EMAIL, *people(range(5))])
        back_up()
        copy = tmp_path / "backup.db"
        assert copy.stat().st_mode & 0o777 == 0o600
        before = copy.read_bytes()
        for name, why in (("backup.db", "exists already"), ("nowhere/backup.db", "cannot be written: No such file")):
            refused = run_companion("ledger", "backup", f"{tmp_path}/{name}")
            assert (refused.code, why in refused.stderr) == (2, True)
        assert copy.read_bytes() == before
        assert not list(tmp_path.glob(".backup.db.*"))

    def test_a_ledger_in_postgresql_has_other_backups(
        self, run_target: Target, run_companion: Companion, database: Database, tmp_path: Path
    ) -> None:
        there = {"ledger_url": url_of(database)}
        run_target([EMAIL, *people(range(5))], **there)
        refused = run_companion("ledger", "backup", f"{tmp_path}/backup.db", **there)
        assert (refused.code, "pg_dump" in refused.stderr, database.password in refused.stderr) == (2, True, False)


class TestWithoutABackup:
    def test_an_old_table_and_then_the_current_one_make_the_same_list_clean(
        self, emulator: Emulator, run_target: Target, run_prune: Prune, lose: Callable[[], None]
    ) -> None:
        run_target([EMAIL, *people(range(10))])
        lose()
        # A copy of the table from before the loss, then the table of today: 9 has left, and 10 has come.
        assert run_target([EMAIL, *people(range(10))]).code == 0
        assert run_target([EMAIL, *people([*range(9), 10])]).code == 0
        assert run_prune().code == 0
        assert members(emulator) == digests([*range(9), 10])

    def test_a_new_list_is_clean_at_once_and_the_old_one_keeps_only_those_who_left(
        self,
        emulator: Emulator,
        run_target: Target,
        run_companion: Companion,
        run_prune: Prune,
        lose: Callable[[], None],
    ) -> None:
        run_target([EMAIL, *people(range(200))])
        lose()
        current = [EMAIL, *people(range(190))]
        new = {"customer_list_name": "customers 2", "missing_ledger": "stop"}
        assert run_target(current, **new).code == 0
        assert run_prune(**new).code == 0
        assert members(emulator, "customers 2") == digests(range(190))
        # The old list: no one can name those who left, but its audience goes, and with it all ads.
        assert run_target(current, operation="remove", source_name="retire", load_method="append-only").code == 0
        assert members(emulator) == digests(range(190, 200))
        assert run_companion("audiences", "delete", LIST, "--yes").code == 0
        assert [each.name for each in emulator.backend.audiences()] == ["customers 2"]
