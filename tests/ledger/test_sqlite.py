"""What only a ledger in a SQLite file does."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.open import open_ledger
from target_pinterest_audience.ledger.schema import MIGRATIONS, VERSION
from target_pinterest_audience.membership.counts import Count
from tests.support.account import ACCOUNT
from tests.support.ledgers import API, Opened, another_process, line_of

KEY = b"k" * 16


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "ledger.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


def modes(folder: Path) -> dict[str, int]:
    return {found.name: found.stat().st_mode & 0o777 for found in [folder, *folder.rglob("*")]}


def foreign(path: Path, *statements: str) -> bytes:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return path.read_bytes()


def test_only_the_owner_can_read_the_files(path: Path, opened: Opened) -> None:
    ledger = opened()
    ledger.locks.take(["customers"], 0)
    with ledger.transaction():
        ledger.rows.write(1, 1, {KEY: b"says"})
    found = modes(path.parent)
    assert set(found) == {"folder", "ledger.db", "ledger.db-wal", "ledger.db-shm"}
    assert {name: mode for name, mode in found.items() if mode != 0o600} == {"folder": 0o700}


def test_a_file_that_others_could_read_becomes_private(path: Path, opened: Opened) -> None:
    opened().close()
    path.chmod(0o664)
    ledger = opened()
    with ledger.transaction():
        ledger.rows.write(1, 1, {KEY: b"says"})
    assert {mode for name, mode in modes(path.parent).items() if name.startswith("ledger.db")} == {0o600}


def test_a_database_of_another_program_is_refused_and_left_alone(path: Path, opened: Opened) -> None:
    before = foreign(path, "CREATE TABLE theirs (id)")
    path.chmod(0o644)
    with pytest.raises(LedgerError, match="database of something else"):
        opened()
    assert path.read_bytes() == before
    assert modes(path.parent)["ledger.db"] == 0o644


def test_a_file_that_is_not_a_database_is_refused(path: Path, opened: Opened) -> None:
    path.parent.mkdir()
    path.write_text("not a database\n" * 100)
    with pytest.raises(LedgerError, match="not a SQLite database"):
        opened()


@pytest.mark.parametrize("dry", [False, True])
def test_a_newer_version_is_refused_and_left_alone(path: Path, opened: Opened, *, dry: bool) -> None:
    opened().close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="newer version"):
        opened(dry=dry)
    assert path.read_bytes() == before


def test_a_ledger_of_an_older_version_is_migrated_with_its_rows(path: Path, opened: Opened) -> None:
    foreign(
        path,
        *(statement.format(blob="BLOB", clustered="WITHOUT ROWID") for statement in MIGRATIONS[0]),
        "INSERT INTO meta VALUES ('secret', x'0102')",
        f"INSERT INTO row_says VALUES (x'{KEY.hex()}', 1, 1, x'90')",  # noqa: S608 - a key of ours
        "PRAGMA user_version = 1",
    )
    dry = opened(dry=True)
    assert dry.catalogue.runs.newest("main") is None
    dry.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    ledger = opened()
    assert ledger.secret == b"\x01\x02"
    assert not ledger.places_rows
    assert ledger.rows.read([KEY]) == {KEY: b"\x90"}
    with ledger.transaction():
        ledger.catalogue.runs.begin("main", {}, 1.0)
    ledger.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_sources_of_an_older_version_have_the_latest_possible_time_of_reading(path: Path, opened: Opened) -> None:
    foreign(
        path,
        *(statement.format(blob="BLOB", clustered="WITHOUT ROWID") for step in MIGRATIONS[:2] for statement in step),
        f"INSERT INTO realms VALUES (1, '{API}', '{ACCOUNT}')",  # noqa: S608 - values of ours
        "INSERT INTO realms VALUES (2, 'other', 'other')",
        "INSERT INTO sources VALUES (1, 1, 'customers', NULL), (2, 2, 'customers', NULL)",
        "INSERT INTO lists VALUES (1, 1, '77', 'customers', 0, 0, 0, 1)",
        "INSERT INTO runs VALUES (1, 1, 'main', 5.0, 6.0, 'clean', 0, '{}')",
        "INSERT INTO runs VALUES (2, 1, 'main', 9.0, NULL, 'open', 0, '{}')",
        "PRAGMA user_version = 2",
    )
    ledger = opened()
    assert [(each.name, each.last_read) for each in ledger.catalogue.sources.all()] == [("customers", 9.0)]
    assert [each.last_read for each in opened("other", "other").catalogue.sources.all()] == [None]
    with ledger.transaction():
        assert ledger.catalogue.suppressions.add(KEY, 1.0)
    assert ledger.members.read(1, [KEY]) == {KEY: Count(0, 1)}


def test_a_folder_that_cannot_be_created_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="folder is writable") as raised:
        open_ledger(f"sqlite:///{tmp_path}/file/ledger.db", API, ACCOUNT, wait_seconds=1)
    assert raised.value.exit_code == 7


WRITE_SLOWLY = f"""
with ledger.transaction():
    ledger.rows.write(1, 1, {{{KEY!r}: b"theirs"}})
    print("writing", flush=True)
    time.sleep(1)
sys.stdin.read()
"""


def test_writing_processes_wait_for_each_other(url: str, opened: Opened) -> None:
    ledger = opened(wait_seconds=30.0)
    with another_process(url, WRITE_SLOWLY) as process:
        assert line_of(process) == "writing"
        began = time.monotonic()
        with ledger.transaction():
            assert time.monotonic() - began > 0.5
            assert ledger.rows.read([KEY]) == {KEY: b"theirs"}
            ledger.rows.write(1, 2, {KEY: b"ours"})
    assert ledger.rows.read([KEY]) == {KEY: b"ours"}


def test_a_process_that_writes_for_too_long_is_named(url: str, opened: Opened) -> None:
    ledger = opened(wait_seconds=0.1)
    with another_process(url, WRITE_SLOWLY) as process:
        assert line_of(process) == "writing"
        with pytest.raises(LedgerError, match="is locked by another process") as raised, ledger.transaction():
            pass
    assert raised.value.exit_code == 7
    assert "waited 0 s for it (`lock_wait_seconds`)" in str(raised.value)
    assert "No state was emitted that the ledger does not cover" in str(raised.value)


@pytest.mark.parametrize("how", ["", "dry", "read_only"])
def test_a_file_that_is_locked_throughout_is_waited_for_and_then_reported(
    path: Path, opened: Opened, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    opened().close()
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerError, match="is locked by another process") as raised:
            opened(wait_seconds=2.5, **({how: True} if how else {}))
        holder.execute("COMMIT")
    assert "waited 2 s for it (`lock_wait_seconds`). Let that process finish" in str(raised.value)
    assert "Make sure" not in str(raised.value)
    assert caplog.messages == [f"Another process writes to {path}. Waiting at most 2 s (`lock_wait_seconds`)."]


def test_a_dry_run_without_a_file_creates_none(tmp_path: Path, opened: Opened) -> None:
    dry = opened(dry=True)
    dry.locks.take(["customers"], 0)
    with dry.transaction():
        dry.rows.write(1, 1, {KEY: b"says"})
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_leaves_the_file_unchanged(path: Path, opened: Opened) -> None:
    opened().close()
    before = path.read_bytes()
    dry = opened(dry=True)
    with dry.transaction():
        dry.rows.write(1, 1, {KEY: b"says"})
        dry.catalogue.runs.begin("main", {}, 1.0)
    dry.close()
    assert path.read_bytes() == before


def test_two_paths_to_one_file_share_its_locks(path: Path, opened: Opened) -> None:
    ledger = opened()
    link = path.parent.parent / "link.db"
    link.symlink_to(path)
    ledger.locks.take(["customers"], 0)
    other = open_ledger(f"sqlite:///{link}", API, ACCOUNT, wait_seconds=1)
    with closing(other), pytest.raises(LedgerError, match="Another run works on the same customer list"):
        other.locks.take(["customers"], 0)
    ledger.locks.ensure()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_ledger_whose_file_is_gone_is_not_used_any_more(path: Path, opened: Opened, *, replaced: bool) -> None:
    ledger = opened()
    ledger.locks.take(["customers"], 0)
    path.rename(path.with_name("backup.db"))
    if replaced:
        path.write_bytes(path.with_name("backup.db").read_bytes())
    for use in (ledger.locks.ensure, lambda: ledger.transaction().__enter__()):
        with pytest.raises(LedgerError, match="moved, deleted or replaced"):
            use()


def test_nothing_is_sent_if_the_ledger_cannot_be_checked(path: Path, opened: Opened) -> None:
    ledger = opened()
    ledger.locks.take(["customers"], 0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE fences")
    with pytest.raises(LedgerError, match="a table is missing"):
        ledger.locks.ensure()
