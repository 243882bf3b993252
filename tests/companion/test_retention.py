"""`pinterest-audience ledger reset` and `ledger expire`: the ledger forgets, and nobody is removed for it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import Sent, Write, members
from tests.support.messages import address, deleted, digests, people, record, schema
from tests.support.processes import Companion, Run, Target, feed, running
from tests.support.waiting import wait_until

EMAIL = schema("email")
DELETING = schema("email", "_sdc_deleted_at")
LIST = "customers"
RESET = ("ledger", "reset", "--yes")
DAY = 86_400


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "load_method": "upsert"}


AtWork = Callable[[Callable[[], Run]], Run]


@pytest.fixture
def at_work(emulator: Emulator, config: dict[str, Any], tmp_path: Path) -> AtWork:
    """Do something while a run has the source and its list."""

    def meanwhile(call: Callable[[], Run]) -> Run:
        calls = len(emulator.backend.calls)
        with running(config, tmp_path) as process:
            feed(process, [EMAIL])
            wait_until(lambda: len(emulator.backend.calls) > calls)
            return call()

    return meanwhile


def age(folder: Path, days: int, source: str | None = None) -> None:
    """Make the ledger older than it is, or a source in it."""
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger, ledger:
        if source is not None:
            ledger.execute("UPDATE sources SET last_read = last_read - ? WHERE name = ?", (days * DAY, source))
            return
        ledger.execute("UPDATE runs SET started = started - ?, ended = ended - ?", (days * DAY, days * DAY))
        ledger.execute("UPDATE sources SET last_read = last_read - ?", (days * DAY,))


def count(folder: Path, table: str) -> int:
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger:
        (found,) = ledger.execute(f"SELECT COUNT(*) FROM {table}").fetchone()  # noqa: S608 - a name of ours
    return int(found)


def seen_keys(folder: Path) -> int:
    """Return how many keys runs with `overwrite` have left in bulk."""
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger:
        (found,) = ledger.execute("SELECT COALESCE(SUM(LENGTH(row_keys)), 0) / 16 FROM seen_keys").fetchone()
    return int(found)


@pytest.mark.parametrize(
    ("command", "keys"),
    [(RESET, 0), (("clear", "--list", LIST, "--yes"), 0), (("forget", "--email", address(1), "--yes"), 11)],
    ids=["reset", "clear", "forget"],
)
def test_the_keys_of_rows_that_overwrite_saw_are_erased_with_the_rows(
    run_target: Target, run_companion: Companion, tmp_path: Path, command: tuple[str, ...], keys: int
) -> None:
    for _ in range(2):
        run_target([EMAIL, *people(range(12))], load_method="overwrite")
    assert seen_keys(tmp_path) == 12
    done = run_companion(*command)
    assert done.code == 0, done.stderr
    assert seen_keys(tmp_path) == keys


class TestReset:
    def test_nobody_is_removed_and_the_next_run_sends_everything_again(
        self, emulator: Emulator, run_target: Target, run_companion: Companion, sent: Sent, tmp_path: Path
    ) -> None:
        run_target([EMAIL, *people(range(12))])
        sent()
        done = run_companion(*RESET, "--json")
        assert done.code == 0, done.stderr
        (made,) = emulator.backend.customer_lists()
        told = json.loads(done.stdout)
        assert (told["lists"], told["dry_run"]) == ([{"id": made.id, "name": LIST, "deleted": 12}], False)
        assert (sent(), count(tmp_path, "row_says"), count(tmp_path, "members")) == ([], 0, 0)
        run_target([EMAIL, *people(range(11))], max_removal_percent=0)
        assert sent() == [Write("ADD", digests(range(11)))]
        assert members(emulator) == digests(range(12))

    def test_a_removal_that_a_deleted_row_named_is_sent_again(
        self, run_target: Target, run_companion: Companion, sent: Sent
    ) -> None:
        stream = [DELETING, *people([1]), deleted(7, email=address(7))]
        run_target(stream)
        run_target(stream)
        sent()
        run_companion(*RESET)
        run_target(stream)
        assert {each.operation for each in sent()} == {"ADD", "REMOVE"}

    def test_one_list_can_be_reset_by_itself(self, run_target: Target, run_companion: Companion, sent: Sent) -> None:
        columns = schema("email", "lr_id")
        stream = [columns, *(record(id=n, email=address(n), lr_id=f"XY{n}") for n in range(3))]
        run_target(stream)
        sent()
        assert run_companion(*RESET, "--list", LIST).code == 0
        run_target(stream)
        assert sent() == [Write("ADD", digests(range(3)))]

    def test_refusals_and_suppressions_stay(
        self, emulator: Emulator, run_target: Target, run_companion: Companion
    ) -> None:
        message = schema("email", "consent")
        settings = {"consent_column": "consent"}
        run_target([message, *(record(id=n, email=address(n), consent=n != 2) for n in range(4))], **settings)
        assert run_companion("forget", "--email", address(1), "--yes").code == 0
        assert run_companion(*RESET).code == 0
        run_target([message, *(record(id=10 + n, email=address(n), consent=True) for n in range(4))], **settings)
        assert members(emulator) == digests([0, 3])

    def test_a_pending_addition_is_not_removed_by_the_next_run(
        self, emulator: Emulator, run_target: Target, run_companion: Companion, sent: Sent
    ) -> None:
        run_target([EMAIL, *people(range(3))])
        emulator.backend.inject(Fault(method="PATCH", status=500, when="after"))
        assert run_target([EMAIL, *people(range(6))], max_retries=0).code == 4
        assert run_companion(*RESET).code == 0
        sent()
        run_target([EMAIL, *people([0])])
        assert sent() == [Write("ADD", digests([0]))]
        assert members(emulator) == digests(range(6))

    def test_a_pending_removal_stays_pending(
        self, emulator: Emulator, run_target: Target, run_companion: Companion
    ) -> None:
        run_target([DELETING, *people(range(3))])
        emulator.backend.inject(Fault(method="PATCH", status=500))
        assert run_target([DELETING, deleted(1), *people([8])], max_retries=0).code == 4
        assert run_companion(*RESET).code == 0
        run_target([DELETING, *people([0])])
        assert members(emulator) == digests([0, 2])

    def test_reset_asks_for_confirmation(self, run_target: Target, run_companion: Companion, sent: Sent) -> None:
        run_target([EMAIL, *people(range(3))])
        refused = run_companion("ledger", "reset")
        assert (refused.code, "3 identities" in refused.stderr, "--yes" in refused.stderr) == (2, True, True)
        sent()
        run_target([EMAIL, *people(range(3))])
        assert sent() == []

    def test_a_dry_run_reports_and_deletes_nothing(
        self, run_target: Target, run_companion: Companion, sent: Sent
    ) -> None:
        run_target([EMAIL, *people(range(3))])
        dry = run_companion("ledger", "reset", "--dry-run")
        assert (dry.code, "Dry run: nothing was deleted" in dry.stdout) == (0, True)
        sent()
        run_target([EMAIL, *people(range(3))])
        assert sent() == []

    def test_reset_waits_for_a_run_and_then_gives_up(
        self, run_target: Target, run_companion: Companion, at_work: AtWork, tmp_path: Path
    ) -> None:
        run_target([EMAIL, *people(range(3))])
        refused = at_work(lambda: run_companion(*RESET, lock_wait_seconds=0))
        assert (refused.code, "Another run" in refused.stderr) == (7, True)
        assert count(tmp_path, "row_says") == 3

    def test_reset_exits_2_without_a_ledger_or_with_an_unknown_list(
        self, run_target: Target, run_companion: Companion
    ) -> None:
        assert run_companion(*RESET).code == 2
        run_target([EMAIL, *people(range(3))])
        assert run_companion(*RESET, "--list", "nobody").code == 2


class TestExpire:
    def expire(self, run_companion: Companion, *options: str, days: int = 100) -> dict[str, Any]:
        done = run_companion("ledger", "expire", "--older-than", str(days), "--json", *options)
        assert done.code == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def test_expire_deletes_what_an_unread_source_contributed_and_its_people_stay_on_the_list(
        self, emulator: Emulator, run_target: Target, run_companion: Companion, sent: Sent, tmp_path: Path
    ) -> None:
        leads = schema("email", stream="leads")
        rows = [EMAIL, *people(range(4)), leads, *people(range(3, 8), "leads")]
        run_target(rows, customer_list_name=LIST, streams={"leads": {}})
        age(tmp_path, 101, "leads")
        sent()
        told = self.expire(run_companion, "--yes")
        assert [each["source"] for each in told["stale_sources"]] == ["leads"]
        assert [each["deleted"] for each in told["lists"]] == [4]
        assert (sent(), members(emulator)) == ([], digests(range(8)))
        assert count(tmp_path, "row_says") == 4
        run_target([EMAIL, *people(range(4))], customer_list_name=LIST)
        assert sent() == []
        assert self.expire(run_companion)["stale_sources"] == []

    def test_expire_asks_for_confirmation_if_people_could_no_longer_be_removed(
        self, run_target: Target, run_companion: Companion, tmp_path: Path
    ) -> None:
        run_target([EMAIL, *people(range(4))])
        age(tmp_path, 101)
        refused = run_companion("ledger", "expire", "--older-than", "100")
        assert refused.code == 2
        assert LIST in refused.stderr
        assert "can no longer be removed" in refused.stderr
        assert count(tmp_path, "row_says") == 4

    def test_a_source_that_is_read_keeps_its_old_rows(
        self, run_target: Target, run_companion: Companion, tmp_path: Path
    ) -> None:
        run_target([EMAIL, *people(range(4))])
        age(tmp_path, 101)
        run_target([EMAIL, *people([1])])
        assert self.expire(run_companion)["stale_sources"] == []
        assert count(tmp_path, "row_says") == 4

    def test_an_interrupted_run_counts_as_having_read_its_source(
        self, emulator: Emulator, run_target: Target, run_companion: Companion, tmp_path: Path
    ) -> None:
        run_target([EMAIL, *people(range(4))])
        age(tmp_path, 101)
        emulator.backend.inject(Fault(method="PATCH", status=500))
        assert run_target([EMAIL, *people([9])], max_retries=0).code == 4
        assert self.expire(run_companion)["stale_sources"] == []

    def test_old_runs_are_deleted_except_the_newest_of_each_configuration(
        self, run_target: Target, run_companion: Companion, tmp_path: Path
    ) -> None:
        for _ in range(3):
            run_target([EMAIL, *people(range(4))])
        run_target([EMAIL, *people(range(4))], customer_list_name="other")
        age(tmp_path, 101)
        assert self.expire(run_companion, "--yes", days=102)["deleted_runs"] == 0
        assert self.expire(run_companion, "--yes")["deleted_runs"] == 2
        assert (count(tmp_path, "runs"), count(tmp_path, "run_feeds")) == (2, 2)
        run_target([EMAIL, *people(range(4))])
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
            assert ledger.execute("SELECT MAX(run) FROM runs").fetchone() == (5,)

    def test_refusals_and_suppressions_stay(
        self, emulator: Emulator, run_target: Target, run_companion: Companion, tmp_path: Path
    ) -> None:
        message = schema("email", "consent")
        settings = {"consent_column": "consent"}
        run_target([message, *(record(id=n, email=address(n), consent=n != 2) for n in range(4))], **settings)
        run_companion("forget", "--email", address(1), "--yes")
        age(tmp_path, 101)
        self.expire(run_companion, "--yes")
        assert self.expire(run_companion)["stale_sources"] == []
        leads = schema("email", "consent", stream="leads")
        rows = [record("leads", id=n, email=address(n), consent=True) for n in range(4)]
        run_target([leads, *rows], customer_list_name=LIST, **settings)
        assert members(emulator) == digests([0, 3])

    def test_a_dry_run_reports_and_deletes_nothing(
        self, run_target: Target, run_companion: Companion, tmp_path: Path
    ) -> None:
        run_target([EMAIL, *people(range(4))])
        run_target([EMAIL, *people(range(4))])
        age(tmp_path, 101)
        told = self.expire(run_companion, "--dry-run")
        assert (told["deleted_runs"], [each["source"] for each in told["stale_sources"]], told["dry_run"]) == (
            1,
            [LIST],
            True,
        )
        assert (count(tmp_path, "runs"), count(tmp_path, "row_says")) == (2, 4)
        shown = run_companion("ledger", "expire", "--older-than", "100", "--dry-run").stdout
        assert "Runs would be deleted: 1." in shown

    def test_a_pending_addition_is_not_removed_by_the_next_run(
        self, emulator: Emulator, run_target: Target, run_companion: Companion, tmp_path: Path
    ) -> None:
        run_target([EMAIL, *people(range(3))])
        emulator.backend.inject(Fault(method="PATCH", status=500, when="after"))
        assert run_target([EMAIL, *people(range(6))], max_retries=0).code == 4
        age(tmp_path, 101)
        self.expire(run_companion, "--yes")
        run_target([EMAIL, *people([0])])
        assert members(emulator) == digests(range(6))

    def test_expire_waits_for_a_run_and_then_gives_up(
        self, run_target: Target, run_companion: Companion, at_work: AtWork, tmp_path: Path
    ) -> None:
        run_target([EMAIL, *people(range(3))])

        def expire() -> Run:
            # The run may note only now that it reads, so that nothing is old.
            for _ in range(5):
                age(tmp_path, 101)
                done = run_companion("ledger", "expire", "--older-than", "100", "--yes", lock_wait_seconds=0)
                if done.code:
                    break
            return done

        assert at_work(expire).code == 7
        assert count(tmp_path, "row_says") == 3
