"""The file of a SQLite ledger: its creation and rights, dangerous places for it, and whether it is still in place."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.sqlite.log import Log, companions_of, ensure_own_log, identity_of

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.sqlite.claims import Claim

_MOUNTS: Final = Path("/proc/self/mountinfo")
_APPLICATION: Final = 0x7069_6E61
"""Lets tools such as `file` name the owner of the database: the bytes "pina"."""


class OpenFile:
    """The file that a ledger has open.

    Attributes:
        path: its path, without symbolic links.
        claim: the claim of this process on it; None if the process does not write to it.
    """

    def __init__(self, path: Path, where: str, claim: Claim | None, patience: float) -> None:
        """Create it.

        Args:
            path: its path, without symbolic links.
            where: the ledger, as the beginning of a sentence.
            claim: the claim of this process on it; None if the process does not write to it.
            patience: how many seconds SQLite itself waits for a process that writes.
        """
        self.path = path
        self.claim = claim
        self._where = where
        self._patience = patience
        self._log = Log(path, where)

    def claim_log(self) -> None:
        """See `Log.claim`. From now on, `ensure_in_place` also checks the log.

        Raises:
            LedgerError: another process uses the log for a file that was at the path before.
        """
        if self.claim is not None:
            self._log.claim(self.claim.file)

    def clear_log(self, connection: sqlite3.Connection) -> None:
        """See `Log.clear`; do nothing if the path still leads to the open file."""
        if self.claim is not None and identity_of(self.path) != self.claim.file:
            self._log.clear(connection)

    def close(self) -> None:
        """Release the write-ahead log. Call it after SQLite has closed the file."""
        self._log.close()

    def ensure_in_place(self) -> None:
        """Check that the path leads to the open file, so that the next process to open it finds the changes.

        Raises:
            LedgerError: the file or its write-ahead log was moved, deleted or replaced.
        """
        if self.claim is None:
            return
        what = None
        if identity_of(self.path) != self.claim.file:
            what = "it"
        elif not self._log.is_in_place():
            what = f"{self.path.name}-wal beside it"
        if what is not None:
            msg = (
                f"{self._where} cannot be used any more: {what} was moved, deleted or replaced while this process was "
                "at work. Nothing more is sent, and no further state is emitted. If you moved it, put it back and run "
                "again. If you restored a backup: when this process has ended, delete "
                f"{self.path.name}-wal and {self.path.name}-shm if they are still there, because they would damage the "
                "backup. Then run the tap once with a full refresh: the backup does not know what this run has sent."
            )
            raise LedgerError(msg)

    def connect_to_read(self) -> sqlite3.Connection:
        """Return another connection, which only reads."""
        return sqlite3.connect(
            f"{self.path.as_uri()}?mode=ro",
            uri=True,
            timeout=self._patience,
            isolation_level=None,
            check_same_thread=False,
        )


def create(path: Path) -> None:
    """Create the file unless it exists. It is never empty, and only its owner can read it.

    SQLite gives its companion files (-wal, -shm) the same mode.

    Raises:
        OSError: the folder or the file cannot be created.
        sqlite3.Error: the file cannot be written, for example because the disk is full.
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
            # Unlike a rename, a link does not replace a file that another process has just created.
            os.link(beside, path)
        except FileExistsError:
            return
        except OSError:
            # Some file systems have no hard links.
            if not path.exists():
                beside.rename(path)
    finally:
        beside.unlink(missing_ok=True)
    _sync(path.parent)


def back_up(path: Path, copy: Path) -> None:
    """Copy the ledger to a new file that only its owner can read, also while a run writes to it.

    Args:
        path: the file of the ledger.
        copy: the new file.

    Raises:
        FileExistsError: the new file exists.
        LedgerError: a run still uses the file that was at the path before.
        OSError: it cannot be written.
        sqlite3.Error: the ledger cannot be read, or the disk is full.
    """
    descriptor, name = tempfile.mkstemp(dir=copy.parent, prefix=f".{copy.name}.")
    os.close(descriptor)
    beside = Path(name)
    try:
        ensure_own_log(path, f"The ledger {path}")
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)) as ledger:
            # It takes one state of the ledger, with what is still in the write-ahead log.
            ledger.execute("VACUUM INTO ?", (name,))
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        try:
            # Unlike a rename, a link does not replace a file.
            os.link(beside, copy)
        except FileExistsError:
            raise
        except OSError:
            # Some file systems have no hard links.
            if copy.exists():
                raise
            beside.rename(copy)
    finally:
        beside.unlink(missing_ok=True)
        _sync(copy.parent)


def _sync(folder: Path) -> None:
    """Make new names in a folder survive a power cut, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def close_to_others(path: Path) -> None:
    """Take away other users' rights to an existing file and its companions.

    Raises:
        OSError: the file belongs to another user.
    """
    for file in (path, *companions_of(path)):
        # The last process to close the ledger deletes the companions.
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)


def caveat(path: Path) -> str | None:
    """Return what is dangerous about the place of a ledger, as sentences; None if nothing is.

    SQLite keeps the newest part of a ledger in files beside it.

    Args:
        path: its path, without symbolic links.
    """
    if is_mounted_alone(path):
        return (
            f"The file {path} is mounted by itself. The newest part of the ledger is in {path.name}-wal beside it. "
            "What a run elsewhere has there is missing here, and what a run here has there is lost with the container "
            "if the run is killed. Mount the folder instead of the file."
        )
    if path.stat().st_nlink > 1:
        return (
            f"The file {path} has another name (a hard link). The newest part of the ledger is in {path.name}-wal "
            "beside the one name, and is missing beside the other. Use one name for all runs, and make backups with "
            "`VACUUM INTO`, not as links."
        )
    return None


def is_mounted_alone(path: Path) -> bool:
    """Return whether a file is a mount of its own, as in a container that was given the file instead of its folder."""
    if path.stat().st_dev != path.parent.stat().st_dev:
        return True
    with contextlib.suppress(OSError, IndexError), _MOUNTS.open("rb") as mounts:
        # Blanks and some other characters are written as octal numbers.
        points = {re.sub(rb"\\(\d{3})", lambda found: bytes([int(found[1], 8)]), line.split()[4]) for line in mounts}
        return os.fsencode(path) in points
    return False
