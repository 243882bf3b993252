"""The file of a SQLite ledger: how it is made, read where nothing can be written, and what is wrong with it."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import sqlite3
from pathlib import Path
from typing import Final

from target_pinterest_audience.ledger.schema import MIGRATIONS

RESTORE: Final = (
    "Stop all runs, move the file and those beside it (-wal, -shm) away, and restore the newest backup in its place; "
    "then run the tap once with a full refresh. Without a backup, the next run begins a new ledger: it sends everybody "
    "again, and cannot remove whoever left since."
)

_MOUNTS: Final = Path("/proc/self/mountinfo")
_APPLICATION: Final = 0x7069_6E61
"""Tells tools such as `file` whose database it is: the bytes "pina"."""

_OURS: Final = frozenset({"realms", "sources", "lists", "row_says", "members"})
_CREATES: Final = re.compile(r"CREATE TABLE (\w+)")

_DAMAGE: Final = {
    "malformed": "damaged, or cut off",
    "file is not a database": "not a SQLite database, or its beginning is damaged: check `ledger_url`",
    "no such table": "damaged: a table is missing",
    "no such column": "damaged: a column is missing",
    "has no column": "damaged: a column is missing",
    "decode to UTF-8": "damaged: it has text that is not UTF-8",
    "unsupported file format": "damaged, or was written by something else",
}
"""What SQLite says → what is the matter. The words of SQLite may quote what is in the file."""


def damage(error: Exception) -> str | None:
    """Return what is the matter with a file that is damaged, as the end of a sentence; None if it is something else."""
    words = str(error)
    return next((told for part, told in _DAMAGE.items() if part in words), None)


def missing_tables(version: int, tables: frozenset[str]) -> list[str]:
    """Return the tables that a ledger of some version lacks."""
    steps = [statement for step in MIGRATIONS[:version] for statement in step]
    return sorted({found[1] for each in steps for found in [_CREATES.match(each)] if found} - tables)


def is_ours(tables: frozenset[str]) -> bool:
    """Return whether a database with these tables is a ledger, or what is left of one."""
    return not _OURS.isdisjoint(tables)


def create(path: Path) -> None:
    """Make the file unless it exists. It has a beginning from the first instant on, and only its owner can read it.

    SQLite gives its companion files (-wal, -shm) the same mode.

    Raises:
        OSError: the folder or the file cannot be made.
        sqlite3.Error: the disk is full, for example.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        return
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(sqlite3.connect(beside, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        try:
            # Unlike a renaming, it does not take the place of a file that another process has just made.
            os.link(beside, path)
        except FileExistsError:
            return
        except OSError:
            # There are file systems without hard links.
            if not path.exists():
                beside.rename(path)
    finally:
        beside.unlink(missing_ok=True)
    _keep_name(path.parent)


def _keep_name(folder: Path) -> None:
    """Let new names in a folder outlive a power cut, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def close_to_others(path: Path) -> None:
    """Take other users' rights to a file that was there before, and to its companions.

    Raises:
        OSError: it belongs to somebody else.
    """
    for file in (path, log_of(path), path.with_name(f"{path.name}-shm")):
        # The last process to close the ledger deletes the companions.
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)


def log_of(path: Path) -> Path:
    """Return the write-ahead log of a ledger."""
    return path.with_name(f"{path.name}-wal")


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return the device and the number of a file; None if there is none that can be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Reader:
    """A connection that only reads, from any place that can be read.

    Attributes:
        connection: the connection.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        """Open it.

        Raises:
            sqlite3.Error: the file cannot be read.
            OSError: likewise.
        """
        self._path = path
        self._before: object = None
        if path.exists() and not os.access(path, os.R_OK):
            # SQLite does not tell that it is a matter of rights.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        try:
            self.connection = _open(path, "mode=ro", timeout)
        except sqlite3.OperationalError as error:
            if "unable to open" not in str(error) and "readonly" not in str(error):
                raise
            # A folder that cannot be written to lacks the file by which processes share the write-ahead log. So no
            # process that could write it is at work there.
            if _size(log_of(path)):
                self.connection = _open(path, "mode=ro&vfs=unix-none", timeout, alone=True)
            else:
                self._before = self._state()
                self.connection = _open(path, "mode=ro&immutable=1", timeout)

    @property
    def is_outdated(self) -> bool:
        """Whether somebody wrote to the file where this process could not notice otherwise."""
        return self._before is not None and self._state() != self._before

    def _state(self) -> object:
        found = self._path.stat()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, _size(log_of(self._path))


def _open(path: Path, how: str, timeout: float, *, alone: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?{how}", uri=True, timeout=timeout, isolation_level=None, check_same_thread=False
    )
    try:
        if alone:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("SELECT 1 FROM sqlite_master").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def caveat(path: Path) -> str | None:
    """Return what is dangerous about the place of a ledger, as sentences; None if nothing is.

    SQLite keeps the newest part of a ledger in files beside it.

    Args:
        path: its path, without symbolic links.
    """
    if is_mounted_alone(path):
        return (
            f"The file {path} is mounted by itself. The newest part of the ledger is in {path.name}-wal beside it, "
            "which is lost with the container if a run is killed. Mount the folder instead of the file."
        )
    if path.stat().st_nlink > 1:
        return (
            f"The file {path} has another name (a hard link). The newest part of the ledger is in {path.name}-wal "
            "beside the one name, and is missing beside the other. Use one name for all runs, and make backups with "
            "`VACUUM INTO`, not as links."
        )
    return None


def is_mounted_alone(path: Path) -> bool:
    """Return whether a file is a mount of its own, as of a container that was given the file and not its folder."""
    if path.stat().st_dev != path.parent.stat().st_dev:
        return True
    with contextlib.suppress(OSError, IndexError), _MOUNTS.open("rb") as mounts:
        # Blanks and the like are written as octal numbers.
        places = {re.sub(rb"\\(\d{3})", lambda found: bytes([int(found[1], 8)]), line.split()[4]) for line in mounts}
        return os.fsencode(path) in places
    return False
