"""What becomes of the file of a SQLite ledger: it is replaced, damaged, mounted, or may only be read."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.open import back_up, open_ledger
from target_pinterest_audience.ledger.schema import MIGRATIONS, VERSION
from target_pinterest_audience.ledger.sqlite import file as sqlite_file
from tests.support.account import ACCOUNT
from tests.support.ledgers import API, Opened, another_process, line_of
from tests.support.processes import unmeasured_environment

ROWS = {number.to_bytes(16, "big"): b"says" * 20 for number in range(3_000)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def filled(opened: Opened) -> None:
    """A ledger with rows, closed."""
    ledger = opened()
    with ledger.transaction():
        ledger.catalogue.sources.add("customers")
        ledger.rows.write(1, 1, ROWS)
    ledger.close()


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


class TestReplaced:
    @pytest.mark.parametrize("locked", [False, True])
    @pytest.mark.parametrize("replaced", [False, True])
    def test_a_commit_to_a_file_that_was_moved_away_does_not_count(
        self, path: Path, opened: Opened, *, locked: bool, replaced: bool
    ) -> None:
        ledger = opened()
        if locked:
            ledger.locks.take(["customers"], 0)

        def commit() -> None:
            with ledger.transaction():
                ledger.catalogue.sources.add("customers")
                path.rename(path.with_name("moved.db"))
                if replaced:
                    path.touch()

        with pytest.raises(LedgerError, match="moved, deleted or replaced") as raised:
            commit()
        assert raised.value.exit_code == 7
        assert "run the tap once with a full refresh" in str(raised.value)
        assert "disk" not in str(raised.value)


FILL = """
with ledger.transaction():
    ledger.rows.write(1, 2, {number.to_bytes(16, "big"): b"more" * 30 for number in range(5_000)})
print("written", flush=True)
sys.stdin.readline()
try:
    with ledger.transaction():
        ledger.rows.write(1, 3, {b"k" * 16: b"lost"})
except Exception as error:
    print(error, flush=True)
ledger.close()
print("closed", flush=True)
"""


class TestBackupPutInPlace:
    """A backup is put in the place of a ledger that a run uses: the log of the old file must not get into it."""

    @pytest.fixture
    def backup(self, path: Path, url: str, opened: Opened) -> Path:
        ledger = opened()
        with ledger.transaction():
            ledger.catalogue.sources.add("customers")
            ledger.rows.write(1, 1, ROWS)
        ledger.close()
        back_up(url, path.with_name("backup.db"))
        return path.with_name("backup.db")

    @pytest.mark.parametrize("kept", [False, True], ids=["the old file is gone", "the old file was moved aside"])
    def test_the_log_of_the_old_file_goes_with_its_last_process(
        self, path: Path, url: str, opened: Opened, backup: Path, *, kept: bool
    ) -> None:
        with another_process(url, FILL) as process:
            assert line_of(process) == "written"
            assert companions(path) == ["ledger.db-shm", "ledger.db-wal"]
            if kept:
                path.rename(path.with_name("old.db"))
            backup.rename(path)
            tell(process)
            assert "delete ledger.db-wal and ledger.db-shm if they are still there" in line_of(process)
            assert line_of(process) == "closed"
        assert companions(path) == []
        restored = opened()
        assert restored.rows.read(list(ROWS)) == ROWS
        assert is_sound(path)
        if kept:
            assert is_sound(path.with_name("old.db"))
            with closing(sqlite3.connect(path.with_name("old.db"))) as old:
                assert old.execute("SELECT COUNT(*) FROM row_says").fetchone() == (5_000,)

    def test_the_log_stays_while_another_process_reads_it(self, path: Path, url: str, backup: Path) -> None:
        with another_process(url, FILL) as process:
            assert line_of(process) == "written"
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
                reader.execute("BEGIN")
                reader.execute("SELECT * FROM meta").fetchone()
                backup.rename(path)
                tell(process)
                assert "was moved, deleted or replaced" in line_of(process)
                assert line_of(process) == "closed"
                assert companions(path) == ["ledger.db-shm", "ledger.db-wal"]

    @pytest.mark.parametrize("how", ["", "dry", "read_only", "backup"])
    def test_no_other_process_opens_it_before_that(
        self, path: Path, url: str, opened: Opened, backup: Path, how: str
    ) -> None:
        with another_process(url, FILL) as process:
            assert line_of(process) == "written"
            backup.rename(path)
            before = path.read_bytes()
            open_it: Callable[[], object] = {
                "": opened,
                "dry": lambda: opened(dry=True),
                "read_only": lambda: opened(read_only=True),
                "backup": lambda: back_up(url, path.with_name("another.db")),
            }[how]
            with pytest.raises(LedgerError, match="still works with the file that was at this path before") as raised:
                open_it()
            assert raised.value.exit_code == 7
            tell(process)
            line_of(process)
            assert line_of(process) == "closed"
        assert path.read_bytes() == before
        assert opened().rows.read(list(ROWS)) == ROWS

    def test_processes_with_the_same_file_share_its_log(self, url: str, opened: Opened, path: Path) -> None:
        first = opened()
        with another_process(url, FILL) as process:
            assert line_of(process) == "written"
            reader = opened(read_only=True)
            assert len(reader.rows.read(list(ROWS))) == len(ROWS)
            tell(process)
            assert line_of(process) == "closed"
        with first.transaction():
            first.catalogue.sources.add("customers")
        opened()
        assert companions(path) == ["ledger.db-shm", "ledger.db-wal"]


def tell(process: subprocess.Popen[str]) -> None:
    """Let a process go on that waits for a line."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def companions(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.glob(f"{path.name}-*"))


def is_sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return bool(connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)])


class TestDamaged:
    """A damaged ledger is told as that, with what to do; advice about folders and disks would lead astray."""

    @pytest.mark.usefixtures("filled")
    @pytest.mark.parametrize(
        ("damage", "words"),
        [
            (lambda path: path.write_bytes(b""), "is an empty file"),
            (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "truncated"),
            (lambda path: path.write_bytes(os.urandom(50_000)), "is not a SQLite database"),
            (lambda path: path.write_text("{}\n" * 999), "is not a SQLite database"),
            (lambda path: path.write_bytes(path.read_bytes()[:100] + os.urandom(50_000)), "is damaged"),
            (lambda path: execute(path, "DROP TABLE members"), "a table is missing"),
            (lambda path: execute(path, "PRAGMA user_version = 0"), "the number of its version is missing"),
            (lambda path: execute(path, "DELETE FROM meta WHERE name = 'secret'"), "the secret of its digests"),
            (lambda path: execute(path, "ALTER TABLE realms DROP COLUMN api_url"), "a column is missing"),
        ],
    )
    @pytest.mark.parametrize("how", ["", "dry", "read_only"])
    def test_a_damaged_ledger_is_reported_as_such(
        self, path: Path, opened: Opened, damage: Callable[[Path], None], words: str, how: str
    ) -> None:
        damage(path)
        before = path.read_bytes()
        with pytest.raises(LedgerError) as raised:
            opened(**({how: True} if how else {}))
        told = str(raised.value)
        assert raised.value.exit_code == 7
        assert words in told
        assert "restore the newest backup" in told
        assert "creates a new ledger" in told
        assert not re.search("folder|disk|busy", told)
        assert path.read_bytes() == before

    @pytest.mark.usefixtures("filled")
    def test_damage_that_is_found_later_is_reported_as_such(self, path: Path, opened: Opened) -> None:
        whole = path.read_bytes()
        path.write_bytes(whole[:-100_000] + os.urandom(100_000))
        ledger = opened()
        with pytest.raises(LedgerError, match="is damaged"), ledger.transaction():
            ledger.rows.read(list(ROWS))

    def test_a_database_of_another_program_is_reported_as_such_whatever_its_version(
        self, path: Path, opened: Opened
    ) -> None:
        execute(path, "CREATE TABLE theirs (id)", f"PRAGMA user_version = {VERSION}")
        with pytest.raises(LedgerError, match=r"is a database of something else. Correct `ledger_url`"):
            opened()

    @pytest.mark.usefixtures("filled")
    def test_the_content_of_a_damaged_text_is_not_shown(self, path: Path, opened: Opened) -> None:
        execute(path, "UPDATE realms SET api_url = CAST(x'7365637265742dff' AS TEXT)")
        execute(path, "UPDATE sources SET name = CAST(x'7365637265742dff' AS TEXT)")
        ledger = opened()
        with pytest.raises(LedgerError, match="text that is not UTF-8") as raised:
            ledger.catalogue.sources.name(1)
        assert "secret-" not in str(raised.value)


class TestMade:
    def test_a_new_file_is_a_valid_database_from_the_first_instant(self, path: Path) -> None:
        sqlite_file.create(path)
        assert path.stat().st_size
        assert path.stat().st_mode & 0o777 == 0o600
        assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]

    def test_the_file_is_created_without_hard_links_too(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "link", refuse)
        sqlite_file.create(path)
        assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]

    def test_a_file_that_another_process_holds_is_waited_for(self, path: Path, url: str, opened: Opened) -> None:
        opened().close()
        holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # As a process does that has created the file, or restored it, and not switched to a log yet.
        holder.execute("PRAGMA journal_mode = DELETE")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerError, match="locked"):
            open_ledger(url, API, ACCOUNT, wait_seconds=0.1)
        letting_go = threading.Timer(2.5, holder.execute, ("COMMIT",))
        letting_go.start()
        with closing(open_ledger(url, API, ACCOUNT, wait_seconds=20)) as ledger, ledger.transaction():
            assert not letting_go.is_alive()
        holder.close()

    def test_processes_that_create_the_file_at_once_share_it(self, url: str, path: Path) -> None:
        code = (
            "import time; ledger.locks.take([sys.argv[1] + str(os.getpid())], 5); print('had', flush=True); "
            "sys.stdin.read()"
        )

        def run(_: int) -> str:
            with another_process(url, code) as process:
                return line_of(process)

        with futures.ThreadPoolExecutor(4) as threads:
            assert list(threads.map(run, range(4))) == ["had"] * 4
        assert not [each for each in path.parent.iterdir() if each.name.startswith(".")]


class TestMountedAlone:
    def test_a_file_that_is_mounted_by_itself_is_a_warning(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "a folder"
        folder.mkdir()
        mounts = tmp_path / "mountinfo"
        named = str(folder).replace(" ", r"\040")
        mounts.write_text(
            f"50 1 8:1 / / rw - ext4 /dev/x rw\n60 50 8:1 /x/l.db {named}/ledger.db rw - ext4 /dev/x rw\n"
        )
        opened = Path.open

        def mounted(path: Path, *how: Any) -> Any:
            return opened(mounts if str(path) == "/proc/self/mountinfo" else path, *how)

        monkeypatch.setattr(Path, "open", mounted)
        # It had to be made before it was mounted.
        (folder / "ledger.db").touch()
        for name, warned in (("ledger.db", True), ("other.db", False)):
            with closing(open_ledger(f"sqlite:///{folder}/{name}", API, ACCOUNT, wait_seconds=1)) as ledger:
                assert ("Mount the folder instead of the file" in str(ledger.caveat)) == warned


READ = """

from target_pinterest_audience.ledger.sqlite import sqlite_ledger as sqlite
os.chdir("/")
if not os.geteuid():
    os.setgid(65534)
    os.setuid(65534)
for how in ("read_only", "dry"):
    ledger = open_ledger(sys.argv[1], API, ACCOUNT, wait_seconds=5.0, **{how: True})
    with ledger.transaction():
        print(*(each.name for each in ledger.catalogue.sources.all()), end=" ")
    ledger.close()
try:
    open_ledger(sys.argv[1], API, ACCOUNT, wait_seconds=0)
except Exception as error:
    print(type(error).__name__)
else:
    print("written")
"""


WRITE = """
with ledger.transaction():
    ledger.catalogue.sources.add("customers")
print("done", flush=True)
time.sleep(60)
"""


class TestReadOnly:
    """Whoever only reads needs the right to read the ledger and its folder, and no other."""

    @pytest.fixture
    def path(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            yield Path(folder) / "ledger.db"
            Path(folder).chmod(0o700)

    def read(self, path: Path) -> list[str]:
        for each in path.parent.iterdir():
            each.chmod(0o444)
        path.parent.chmod(0o555)
        program = f"import os, sys\nfrom target_pinterest_audience.ledger.open import back_up, open_ledger\n{READ}"
        program = program.replace("API", repr(API)).replace("ACCOUNT", repr(ACCOUNT))
        done = subprocess.run(
            [sys.executable, "-c", program, f"sqlite:///{path}"],
            capture_output=True, check=False, timeout=60, text=True, env=unmeasured_environment(),
        )  # fmt: skip
        path.parent.chmod(0o755)
        assert not done.stderr
        return done.stdout.split()

    def test_a_closed_ledger_is_readable_without_write_access(self, path: Path, opened: Opened) -> None:
        ledger = opened()
        with ledger.transaction():
            ledger.catalogue.sources.add("customers")
        ledger.close()
        assert self.read(path) == ["customers", "customers", "LedgerError"]
        assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]

    @pytest.mark.parametrize("lost", ["", "ledger.db-shm"])
    def test_the_ledger_of_a_killed_run_is_readable_without_write_access(self, url: str, path: Path, lost: str) -> None:
        with another_process(url, WRITE) as process:
            assert line_of(process) == "done"
        if lost:
            path.with_name(lost).unlink()
        # What it committed is in the write-ahead log alone.
        assert self.read(path) == ["customers", "customers", "LedgerError"]

    def test_a_ledger_that_a_run_is_writing_is_readable_without_write_access(self, path: Path, opened: Opened) -> None:
        ledger = opened()
        ledger.locks.take(["customers"], 0)
        with ledger.transaction():
            ledger.catalogue.sources.add("customers")
        assert self.read(path) == ["customers", "customers", "LedgerError"]
        with ledger.transaction():
            ledger.catalogue.sources.add("others")
        assert self.read(path) == ["customers", "others"] * 2 + ["LedgerError"]

    def test_an_invisible_writer_is_reported(self, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
        writer = opened()
        with writer.transaction():
            writer.catalogue.sources.add("customers")
        writer.close()
        connect = sqlite3.connect

        def without_the_right(place: object, **options: Any) -> sqlite3.Connection:
            if str(place).endswith("?mode=ro"):
                msg = "unable to open database file"
                raise sqlite3.OperationalError(msg)
            return connect(place, **options)  # type: ignore[call-overload,no-any-return] # as it came

        monkeypatch.setattr(sqlite3, "connect", without_the_right)
        reader = opened(read_only=True)
        assert reader.catalogue.sources.find("customers") == 1
        with (writer := opened()).transaction():
            writer.catalogue.sources.add("others")
        with pytest.raises(LedgerError, match="was written to by a run while it was read"):
            reader.catalogue.sources.all()

    def test_reading_changes_nothing_for_any_ad_account(self, path: Path, opened: Opened) -> None:
        ledger = opened()
        with ledger.transaction():
            ledger.catalogue.sources.add("customers")
        ledger.close()
        before = path.read_bytes()
        for account, known in ((ACCOUNT, 1), ("9", 0)):
            reader = opened(account=account, read_only=True)
            assert len(reader.catalogue.sources.all()) == known
            reader.locks.take(["customers"], 0)
            reader.close()
        assert path.read_bytes() == before

    def test_a_ledger_of_an_older_version_is_read_and_left_unchanged(self, path: Path, opened: Opened) -> None:
        version = 9
        older = [statement for step in MIGRATIONS[:version] for statement in step]
        path.parent.mkdir(exist_ok=True)
        execute(path, *(statement.format(blob="BLOB", clustered="WITHOUT ROWID") for statement in older))
        execute(path, "INSERT INTO meta VALUES ('secret', x'0102')", f"PRAGMA user_version = {version}")
        before = path.read_bytes()
        assert opened(read_only=True).catalogue.lists.all() == []
        assert path.read_bytes() == before
