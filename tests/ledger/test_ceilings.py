"""What a ledger keeps of runs and their removals, so that ceilings hold from run to run, in every database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from target_pinterest_audience.errors import RemovalCeilingError
from target_pinterest_audience.ledger.catalogue.removal_counts import ListStart
from target_pinterest_audience.ledger.catalogue.runs import CLEAN, EMPTY
from target_pinterest_audience.ledger.history import RUN, Ending
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.open import open_ledger
from target_pinterest_audience.ledger.schema import MIGRATIONS, VERSION
from target_pinterest_audience.reconcile.ceiling import Ceilings
from target_pinterest_audience.reconcile.windows.decisions import Movement
from tests.support.account import ACCOUNT
from tests.support.ledgers import API, Opened, address
from tests.support.postgres import Database

NOW = 1_790_000_000.0
HOUR = 3_600.0
BEFORE_CEILINGS = 5
"""The last version of a ledger that kept no starts."""
OLD_LISTS = (
    f"INSERT INTO realms VALUES (1, '{API}', '{ACCOUNT}')",  # noqa: S608 - values of ours
    # The last run died when it had removed 15 of 100; and one ended cleanly when it had removed as many.
    "INSERT INTO lists VALUES (1, 1, '77', 'died', 85, 100, 15, 0), (2, 1, '78', 'clean', 85, 100, 15, 1)",
    "INSERT INTO history VALUES (1, 1, 'run', 5.0, 6.0, 0, 7, 0.5)",
)


def ceilings(now: float = NOW) -> Ceilings:
    return Ceilings(20, lambda _: ("a list", ""), lambda: now, deleted_percent=50)


def remove(ledger: Ledger, number: int, *, derived: int = 0, deleted: int = 0, now: float = NOW) -> None:
    """Let a run happen that removes people; it ends cleanly, unless these are too many."""
    counting = ceilings(now)
    with ledger.transaction():
        counting.begin(ledger.catalogue, number)
        ledger.catalogue.lists.change_members(number, -derived - deleted)
        counting.count(ledger.catalogue, {number: Movement(0, derived, deleted, 0)})
        run = ledger.catalogue.runs.begin("main", {}, now)
        ledger.catalogue.runs.end(run, CLEAN, now, [])
        ledger.catalogue.removal_counts.close([number])


def old_steps(blob: str, clustered: str) -> list[str]:
    steps = (statement for step in MIGRATIONS[:BEFORE_CEILINGS] for statement in step)
    return [statement.format(blob=blob, clustered=clustered) for statement in steps]


@pytest.fixture
def number(ledger: Ledger) -> int:
    with ledger.transaction():
        number = ledger.catalogue.lists.add("1", "customers").number
        ledger.catalogue.lists.change_members(number, 100)
    return number


def test_the_start_of_a_run_keeps_the_removals_since(ledger: Ledger, number: int) -> None:
    remove(ledger, number, derived=5, deleted=20)
    remove(ledger, number, derived=3, now=NOW + HOUR)
    remove(ledger, number, now=NOW + 2 * HOUR)
    assert ledger.catalogue.removal_counts.starts(number) == [
        ListStart(100, 20, 50, 5, 20), ListStart(75, 20, 50, 3, 0), ListStart(72, 20, 50, 0, 0),
    ]  # fmt: skip
    assert ledger.catalogue.removal_counts.starts(number + 1) == []
    with pytest.raises(RemovalCeilingError, match="Over the last 24 hours, 21 of the 100 members"):
        remove(ledger, number, derived=13, now=NOW + 3 * HOUR)
    remove(ledger, number, derived=12, now=NOW + 3 * HOUR)
    remove(ledger, number, now=NOW + 24.5 * HOUR)
    assert [start.members for start in ledger.catalogue.removal_counts.starts(number)] == [75, 72, 60]


def test_a_rollback_leaves_no_trace(ledger: Ledger, number: int) -> None:
    before = ledger.catalogue.lists.entry(number)
    with pytest.raises(RemovalCeilingError):
        remove(ledger, number, deleted=51)
    assert ledger.catalogue.removal_counts.starts(number) == []
    assert ledger.catalogue.lists.entry(number) == before


def test_a_dry_run_counts_and_keeps_nothing(ledger: Ledger, number: int, opened: Opened) -> None:
    remove(ledger, number, deleted=30)
    with closing(opened(dry=True)) as dry:
        remove(dry, number, deleted=20)
        with pytest.raises(RemovalCeilingError, match="51 of the 100 members"):
            remove(dry, number, deleted=1)
    assert ledger.catalogue.removal_counts.starts(number) == [ListStart(100, 20, 50, 0, 30)]


def test_an_empty_run_is_not_a_clean_one(ledger: Ledger) -> None:
    catalogue = ledger.catalogue
    with ledger.transaction():
        for outcome in (CLEAN, EMPTY):
            catalogue.runs.end(catalogue.runs.begin("main", {}, NOW), outcome, NOW, [])
    newest, clean = catalogue.runs.newest("main"), catalogue.runs.newest("main", clean=True)
    assert newest is not None
    assert clean is not None
    assert (newest.number, newest.outcome, clean.number) == (2, EMPTY, 1)


def test_the_history_distinguishes_empty_runs(ledger: Ledger) -> None:
    with ledger.transaction():
        for empty in (False, True):
            ledger.history.end(ledger.history.begin(RUN, NOW), Ending(NOW, 0, 3, 0.5, empty), [])
    assert [each.ending for each in ledger.history.entries(9)] == [
        Ending(NOW, 0, 3, 0.5, empty=True), Ending(NOW, 0, 3, 0.5, empty=False),
    ]  # fmt: skip


def check_taken_over(ledger: Ledger) -> None:
    assert [each.ending for each in ledger.history.entries(9)] == [Ending(6.0, 0, 7, 0.5, empty=False)]
    with pytest.raises(RemovalCeilingError, match="21 of the 100 members"):
        remove(ledger, 1, derived=6)
    remove(ledger, 1, derived=5)
    with pytest.raises(RemovalCeilingError, match="18 of the 85 members"):
        remove(ledger, 2, derived=18)
    remove(ledger, 2, derived=17)
    with pytest.raises(RemovalCeilingError, match="Over the last 24 hours, 18 of the 85 members"):
        remove(ledger, 2, derived=1)


def test_an_old_sqlite_ledger_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in (*old_steps("BLOB", "WITHOUT ROWID"), *OLD_LISTS):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {BEFORE_CEILINGS}")
    with closing(open_ledger(f"sqlite:///{path}", API, ACCOUNT, wait_seconds=1)) as ledger:
        check_taken_over(ledger)


def test_an_old_postgresql_ledger_is_migrated(database: Database) -> None:
    statements = ";".join([*old_steps("BYTEA", ""), *OLD_LISTS])
    database.execute(f"""
        CREATE SCHEMA target_pinterest_audience;
        SET search_path TO target_pinterest_audience;
        CREATE TABLE schema_version (version INTEGER NOT NULL);
        INSERT INTO schema_version VALUES ({BEFORE_CEILINGS});
        CREATE TABLE lock_holders (name_digest BIGINT PRIMARY KEY, holder BYTEA NOT NULL);
        {statements};
    """)  # noqa: S608 - our own statements
    with closing(open_ledger(address(database), API, ACCOUNT, wait_seconds=1)) as ledger:
        check_taken_over(ledger)
    assert database.execute("SELECT version FROM target_pinterest_audience.schema_version") == str(VERSION)
