"""The credentials file: written where it can be, tried before the old token is spent, and never half."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.errors import UnavailableError
from target_pinterest_audience.pinterest.token_store import CredentialsFile
from tests.support.account import ACCOUNT, TOKEN
from tests.support.client import OAUTH, credentials, transport
from tests.support.waiting import Clock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "credentials.json"


@pytest.fixture
def mounted(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A credentials file that is mounted by itself: it can be written, and nothing can take its place."""
    rename = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if Path(target) == path:
            raise OSError(errno.EBUSY, "Device or resource busy")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    path.touch(0o600)
    return path


@pytest.fixture
def locked_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A credentials file in a folder in which nothing can be made."""
    path.touch(0o600)
    make = os.open

    def refuse(name: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, "Read-only file system")
        return make(name, flags, *rest, **named)

    monkeypatch.setattr(os, "open", refuse)
    return path


@contextlib.contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A disk on which no file can become longer."""
    write = os.pwrite

    def refuse(descriptor: int, content: bytes, offset: int) -> int:
        if offset + len(content) > os.fstat(descriptor).st_size:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content, offset)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", refuse)
        yield


def sign_in(emulator: Emulator, folder: Path) -> str:
    return credentials(emulator, folder, access_token=None, **OAUTH).access_token()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".credentials.json.lock"}


def test_a_file_that_is_mounted_by_itself_is_written_in_place(emulator: Emulator, mounted: Path) -> None:
    number = mounted.stat().st_ino
    for _ in range(3):
        assert sign_in(emulator, mounted.parent)
    assert [call.status for call in emulator.backend.calls] == [200] * 3
    assert mounted.stat().st_ino == number
    assert json.loads(mounted.read_text())["refresh_tokens"]
    assert names(mounted.parent) == {"credentials.json"}


def test_in_a_folder_that_cannot_be_written_to_the_file_is_written_in_place(
    emulator: Emulator, locked_folder: Path
) -> None:
    for _ in range(3):
        assert sign_in(emulator, locked_folder.parent)
    assert [call.status for call in emulator.backend.calls] == [200] * 3
    assert names(locked_folder.parent) == {"credentials.json"}


def test_no_token_is_used_up_if_neither_the_folder_nor_the_file_can_be_written(
    emulator: Emulator, locked_folder: Path
) -> None:
    locked_folder.unlink()
    with pytest.raises(ConfigurationError, match=r"cannot be written, .*\(Read-only file system\)"):
        sign_in(emulator, locked_folder.parent)
    assert emulator.backend.calls == []


def test_a_symbolic_link_is_followed_and_stays(emulator: Emulator, path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    path.symlink_to("elsewhere/kept.json")
    for _ in range(2):
        assert sign_in(emulator, tmp_path)
    assert path.is_symlink()
    assert {each.name for each in (tmp_path / "elsewhere").iterdir()} == {"kept.json", ".kept.json.lock"}
    assert [call.status for call in emulator.backend.calls] == [200] * 2


def test_links_in_a_circle_are_an_error(path: Path) -> None:
    path.symlink_to(path)
    with pytest.raises(ConfigurationError, match="symbolic links"):
        CredentialsFile(path).newest("a")


def test_every_name_of_a_file_keeps_leading_to_the_newest_token(path: Path, tmp_path: Path) -> None:
    CredentialsFile(path).keep("old", "a")
    (tmp_path / "other").hardlink_to(path)
    CredentialsFile(path).keep("new", "a")
    assert CredentialsFile(tmp_path / "other").newest("a") == "new"


@pytest.mark.parametrize(("before", "after"), [(0o644, 0o600), (0o640, 0o640), (0o660, 0o660), (0o666, 0o600)])
@pytest.mark.parametrize("is_mounted", [False, True])
def test_a_file_that_everyone_could_read_becomes_private_and_others_keep_their_mode(
    request: pytest.FixtureRequest, path: Path, before: int, after: int, *, is_mounted: bool
) -> None:
    if is_mounted:
        request.getfixturevalue("mounted")
    path.touch()
    path.chmod(before)
    CredentialsFile(path).keep("new", "a")
    assert stat.S_IMODE(path.stat().st_mode) == after


def test_the_owner_of_a_file_stays_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.touch(0o660)
    number = path.stat().st_ino
    look = os.fstat

    def strange(descriptor: int) -> os.stat_result:
        return os.stat_result((*look(descriptor)[:4], 4711, *look(descriptor)[5:10]))

    monkeypatch.setattr(os, "fstat", strange)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    CredentialsFile(path).keep("new", "a")
    assert path.stat().st_ino == number
    assert CredentialsFile(path).newest("a") == "new"
    assert names(path.parent) == {"credentials.json"}


@pytest.mark.parametrize("is_mounted", [False, True])
def test_a_disk_that_fills_up_during_an_exchange_does_not_cost_the_sign_in(
    request: pytest.FixtureRequest, path: Path, monkeypatch: pytest.MonkeyPatch, *, is_mounted: bool
) -> None:
    if is_mounted:
        request.getfixturevalue("mounted")
    file = CredentialsFile(path)
    file.keep("old", "a")
    with file.room() as keep, full_disk(monkeypatch):
        keep("n" * 4000, "a")
    assert file.newest("a") == "n" * 4000
    assert path.stat().st_size < 4200


@pytest.mark.parametrize("is_mounted", [False, True])
def test_on_a_full_disk_no_token_is_used_up_and_the_old_one_stays(
    request: pytest.FixtureRequest,
    emulator: Emulator,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_mounted: bool,
) -> None:
    if is_mounted:
        request.getfixturevalue("mounted")
    sign_in(emulator, path.parent)
    before = path.read_bytes()
    with full_disk(monkeypatch), pytest.raises(ConfigurationError, match="No space left"):
        sign_in(emulator, path.parent)
    assert len(emulator.backend.calls) == 1
    assert path.read_bytes() == before
    assert names(path.parent) == {"credentials.json"}


def test_reserved_space_that_is_not_used_leaves_the_file_unchanged(mounted: Path) -> None:
    CredentialsFile(mounted).keep("old", "a")
    before = mounted.read_bytes()
    with CredentialsFile(mounted).room():
        assert CredentialsFile(mounted).newest("a") == "old"
    assert mounted.read_bytes() == before


def test_a_token_that_a_killed_process_had_written_is_used_by_the_next(path: Path) -> None:
    file = CredentialsFile(path)
    file.keep("new", "a")
    path.rename(path.with_name(".credentials.json.new"))
    path.write_bytes(b"")
    os.utime(path, (1, 1))
    with file.exclusive():
        assert file.newest("a") == "new"
    assert names(path.parent) == {"credentials.json"}


@pytest.mark.parametrize("rest", [b"", b" " * 8192, b'{"refresh_tokens":{"a":"ne'])
def test_a_half_written_token_of_a_killed_process_is_deleted(path: Path, rest: bytes) -> None:
    file = CredentialsFile(path)
    file.keep("old", "a")
    path.with_name(".credentials.json.new").write_bytes(rest)
    with file.exclusive():
        assert file.newest("a") == "old"
    assert names(path.parent) == {"credentials.json"}


def test_a_file_that_is_reached_by_two_paths_is_locked_for_both(path: Path, tmp_path: Path) -> None:
    CredentialsFile(path).keep("old", "a")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mounted.json").hardlink_to(path)
    entered = threading.Event()

    def enter() -> None:
        with CredentialsFile(tmp_path / "there" / "mounted.json").exclusive():
            entered.set()

    with CredentialsFile(path).exclusive():
        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.5)
    thread.join(10)
    assert entered.is_set()


@pytest.mark.parametrize("is_there", [True, False])
def test_a_process_waits_for_an_exchange_even_if_its_lock_file_is_deleted(path: Path, *, is_there: bool) -> None:
    if is_there:
        CredentialsFile(path).keep("old", "a")
    found: list[str | None] = []

    def enter() -> None:
        with CredentialsFile(path).exclusive():
            found.append(CredentialsFile(path).newest("a"))

    file = CredentialsFile(path)
    with file.exclusive(), file.room() as keep:
        path.with_name(".credentials.json.lock").unlink()
        thread = threading.Thread(target=enter)
        thread.start()
        time.sleep(0.5)
        keep("new", "a")
    thread.join(10)
    assert found == ["new"]


def test_an_empty_file_holds_no_token_yet(emulator: Emulator, path: Path) -> None:
    path.write_text("\n")
    assert sign_in(emulator, path.parent)


def make_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [make_folder, os.mkfifo])
def test_a_path_that_is_not_a_file_is_an_error_without_a_wait(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    with pytest.raises(ConfigurationError, match=r"cannot be read \(it is not a file\)"):
        CredentialsFile(path).newest("a")


def answer(emulator: Emulator, body: Any, times: int | None = 1) -> None:
    emulator.backend.inject(Fault(path="/oauth/token", status=200, body=body, times=times))


@pytest.mark.parametrize(
    "body", [{}, {"access_token": ""}, {"access_token": "a b", "refresh_token": "None"}, [], "<html>"]
)
def test_an_answer_without_a_token_replaces_no_refresh_token(emulator: Emulator, path: Path, body: object) -> None:
    sign_in(emulator, path.parent)
    before = path.read_bytes()
    answer(emulator, body, times=None)
    with pytest.raises(UnavailableError):
        sign_in(emulator, path.parent)
    assert path.read_bytes() == before
    emulator.backend.clear_faults()
    assert sign_in(emulator, path.parent)


@pytest.mark.parametrize("odd", ["missing", "", None, "null", 5, "a b", f"{TOKEN}\n"])
def test_a_new_refresh_token_is_stored_even_if_no_access_token_comes_with_it(
    emulator: Emulator, path: Path, odd: object
) -> None:
    sign_in(emulator, path.parent)
    tokens = {"access_token": odd, "refresh_token": "new"}
    answer(emulator, {name: value for name, value in tokens.items() if value != "missing"})
    calls = len(emulator.backend.calls)
    with pytest.raises(UnavailableError, match="no valid access token"):
        sign_in(emulator, path.parent)
    assert [*json.loads(path.read_text())["refresh_tokens"].values()] == ["new"]
    assert len(emulator.backend.calls) == calls + 1


@pytest.mark.parametrize("odd", ["new\n", " new", "\tnew \r\n"])
def test_blanks_around_a_refresh_token_do_not_belong_to_it(emulator: Emulator, path: Path, odd: str) -> None:
    answer(emulator, {"access_token": TOKEN, "refresh_token": odd, "scope": "ads:read ads:write"})
    assert sign_in(emulator, path.parent) == TOKEN
    assert [*json.loads(path.read_text())["refresh_tokens"].values()] == ["new"]


@pytest.mark.parametrize(
    "odd", [None, "", "  ", "ne\nw", "null", "None", TOKEN, f" {TOKEN}\n", 5, ["new"], {"token": "new"}]
)
def test_an_odd_refresh_token_does_not_replace_the_one_that_is_kept(emulator: Emulator, path: Path, odd: Any) -> None:
    sign_in(emulator, path.parent)
    before = path.read_bytes()
    answer(emulator, {"access_token": TOKEN, "refresh_token": odd, "scope": "ads:read ads:write"})
    assert sign_in(emulator, path.parent) == TOKEN
    assert path.read_bytes() == before


@pytest.mark.parametrize("lives", [0, -5, 1, 10**400, "soon", None, 1e308])
def test_an_odd_lifetime_does_not_cause_many_exchanges(emulator: Emulator, path: Path, lives: Any) -> None:
    body = {"access_token": TOKEN, "scope": "ads:read ads:write", "expires_in": lives}
    answer(emulator, {**body, "refresh_token_expires_in": lives}, times=None)
    clock = Clock()
    tokens = credentials(emulator, path.parent, access_token=None, clock=clock, **OAUTH)
    client = PinterestClient(transport(emulator), tokens, ACCOUNT)
    for _ in range(5):
        clock.now += 1
        client.ad_account()
    assert len([call for call in emulator.backend.calls if call.path.endswith("/oauth/token")]) == 1
