"""The locks of a SQLite ledger belong to its file: whatever path leads to it, and whatever is deleted beside it."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import closing, suppress
from pathlib import Path

import pytest

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.open import open_ledger
from tests.support.account import ACCOUNT
from tests.support.ledgers import API, Opened, another_process, line_of, select

HOLD = """
ledger.locks.take(["customers"], 0)
print("held", flush=True)
sys.stdin.readline()
"""
BUSY = "Another run works on the same customer list"
OTHER_PATH = "by another path"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder" / "ledger.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


def reopened(path: Path, wait_seconds: float = 0) -> Ledger:
    return open_ledger(f"sqlite:///{path}", API, ACCOUNT, wait_seconds=wait_seconds)


def times_open(folder: Path) -> int:
    """Count how often this process has files of the folder open. Others, left by other tests, close at any time."""
    there = [each.stat() for each in folder.iterdir()]
    count = 0
    for descriptor in Path("/dev/fd").iterdir():
        # The descriptor by which the list was read is gone.
        with suppress(OSError):
            state = os.fstat(int(descriptor.name))
            count += any(os.path.samestat(state, each) for each in there)
    return count


@pytest.fixture(params=["of the open file", "of the process", "of the process, on an older system"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of locks that systems have."""
    for name in ("F_OFD_GETLK", "F_OFD_SETLK"):
        if "older" in request.param:
            monkeypatch.setattr(fcntl, name, 9_999, raising=False)
        elif "process" in request.param:
            monkeypatch.delattr(fcntl, name, raising=False)


@pytest.mark.usefixtures("kind")
class TestEveryKindOfLocks:
    def test_a_second_process_waits_and_names_the_first(self, url: str, opened: Opened) -> None:
        ledger = opened()
        with another_process(url, HOLD) as process:
            assert line_of(process) == "held"
            with pytest.raises(LedgerError, match=f"{BUSY}: process {process.pid} "):
                ledger.locks.take(["customers"], 0)
            ledger.locks.take(["others"], 0)
            process.kill()
            process.wait()
            ledger.locks.take(["customers"], 10)

    def test_another_process_still_waits_after_a_second_ledger_was_closed(self, url: str, opened: Opened) -> None:
        first, second = opened(), opened()
        first.locks.take(["customers"], 0)
        second.locks.take(["others"], 0)
        second.close()
        with another_process(url, "ledger.locks.take(['others'], 0); print('had', flush=True)\n" + HOLD) as process:
            assert line_of(process) == "had"
            assert line_of(process) == ""
        first.locks.ensure()

    def test_two_ledgers_of_one_process_exclude_each_other(self, opened: Opened) -> None:
        first, second = opened(), opened()
        first.locks.take(["customers"], 0)
        with pytest.raises(LedgerError, match=BUSY):
            second.locks.take(["customers"], 0)
        first.close()
        second.locks.take(["customers"], 0)
        with pytest.raises(LedgerError, match=BUSY):
            opened().locks.take(["customers"], 0)

    def test_a_process_by_another_path_has_to_wait(self, url: str, path: Path) -> None:
        with another_process(url, HOLD) as process:
            assert line_of(process) == "held"
            os.link(path, path.with_name("link.db"))
            with pytest.raises(LedgerError, match=OTHER_PATH):
                reopened(path.with_name("link.db"))

    def test_a_file_in_the_place_of_one_in_use_is_not_opened(self, url: str, path: Path) -> None:
        with another_process(url, HOLD) as process:
            assert line_of(process) == "held"
            path.rename(path.with_name("old.db"))
            with pytest.raises(LedgerError, match="still works with the file that was at this path before"):
                reopened(path)


@pytest.mark.parametrize("also", [False, True], ids=["the folder of locks", "all that is beside the ledger"])
def test_deleting_files_does_not_free_the_locks(url: str, opened: Opened, path: Path, *, also: bool) -> None:
    with another_process(url, HOLD) as process:
        assert line_of(process) == "held"
        for each in path.parent.iterdir():
            if each.is_dir():
                shutil.rmtree(each)
            elif also and each != path:
                each.unlink()
        second = opened(wait_seconds=0)
        with pytest.raises(LedgerError, match="-wal was deleted while that process" if also else BUSY):
            second.locks.take(["customers"], 0)


def test_a_process_whose_write_ahead_log_is_gone_commits_nothing_that_counts(opened: Opened, path: Path) -> None:
    ledger = opened()
    path.with_name("ledger.db-wal").unlink()
    with (
        pytest.raises(LedgerError, match="-wal beside it was moved, deleted or replaced"),
        ledger.transaction(),
    ):
        pass


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_symbolic_link_leads_to_the_same_locks(opened: Opened, path: Path, what: str) -> None:
    first = opened()
    first.locks.take(["customers"], 0)
    link = path.parent.parent / "link"
    link.symlink_to(path if what == "file" else path.parent)
    with closing(reopened(link if what == "file" else link / "ledger.db")) as second:
        with pytest.raises(LedgerError, match=BUSY):
            second.locks.take(["customers"], 0)
        second.locks.take(["others"], 0)
    first.locks.ensure()


def test_only_one_path_of_a_hard_link_is_used_at_a_time(opened: Opened, path: Path) -> None:
    first = opened()
    first.locks.take(["customers"], 0)
    with first.transaction():
        first.catalogue.sources.add("customers")
    other = path.parent.parent / "other.db"
    os.link(path, other)
    with pytest.raises(LedgerError, match=OTHER_PATH) as raised:
        reopened(other)
    assert raised.value.exit_code == 7
    assert "mount the folder" in str(raised.value)
    # Whoever was refused keeps nobody from the file.
    opened().close()
    first.close()
    with closing(reopened(other)) as second:
        second.locks.take(["customers"], 0)
        assert second.catalogue.sources.find("customers") == 1
        with pytest.raises(LedgerError, match=OTHER_PATH):
            opened(wait_seconds=0)


def test_a_second_name_of_the_file_is_a_warning(opened: Opened, path: Path) -> None:
    ledger = opened()
    assert ledger.caveat is None
    ledger.close()
    os.link(path, path.with_name("snapshot.db"))
    for how in ({}, {"read_only": True}, {"dry": True}):
        assert "a hard link" in str(opened(**how).caveat)


def test_many_lists_need_no_further_open_files(ledger: Ledger, path: Path) -> None:
    ledger.locks.take(["customers"], 0)
    ledger.locks.ensure()
    before = times_open(path.parent)
    ledger.locks.take([f"list {number}" for number in range(5_000)], 0)
    ledger.locks.ensure()
    assert times_open(path.parent) == before > 0
    ledger.close()
    assert times_open(path.parent) == 0


def test_processes_that_died_leave_nothing(url: str, opened: Opened) -> None:
    for _ in range(3):
        with another_process(url, HOLD) as process:
            assert line_of(process) == "held"
            process.kill()
    ledger = opened()
    ledger.locks.take(["customers"], 0)
    assert select(url, "SELECT COUNT(*) FROM meta WHERE name LIKE 'holder %'") == [(1,)]
