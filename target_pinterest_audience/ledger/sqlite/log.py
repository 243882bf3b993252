"""The write-ahead log of a SQLite ledger, which stays at its path when another file replaces the ledger."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.sqlite.claims import Claim


class Log:
    """The write-ahead log beside the file that a ledger has open, and the claim of this process on it."""

    def __init__(self, path: Path, where: str) -> None:
        """Create it, without a claim.

        Args:
            path: the path of the ledger, without symbolic links.
            where: the ledger, as the beginning of a sentence.
        """
        self._path = path
        self._where = where
        self._claim: Claim | None = None
        self._companions: dict[Path, tuple[int, int] | None] = {}

    def claim(self, file: tuple[int, int]) -> None:
        """Claim the log for a file, if there is one.

        Args:
            file: the device and the inode of the file of the ledger.

        Raises:
            LedgerError: another process uses the log for a file that was at the path before.
            OSError: the log cannot be read, or the file system has no locks.
        """
        try:
            self._claim = Claim(log_of(self._path), os.O_RDONLY)
        except FileNotFoundError:
            return
        if not self._claim.take_log_of(file):
            self.close()
            name = self._path.name
            msg = (
                f"{self._where} cannot be used yet: another process still works with the file that was at this path "
                f"before, and {name}-wal holds the changes to that file. They would damage this one. Wait until that "
                f"process has ended, delete {name}-wal and {name}-shm if they are still there, and run again."
            )
            raise LedgerError(msg)
        self._companions = {each: identity_of(each) for each in companions_of(self._path)}

    def is_in_place(self) -> bool:
        """Return whether the log is still at its path; also if it was never claimed."""
        return self._claim is None or identity_of(log_of(self._path)) == self._claim.file

    def clear(self, connection: sqlite3.Connection) -> None:
        """Copy the log into the file that was moved or replaced, and delete it, so that no other file gets its changes.

        Args:
            connection: the connection to that file. No transaction is under way.
        """
        # If another process still uses the log, the last one clears it. If the disk is full, the log has to stay.
        with contextlib.suppress(OSError, sqlite3.Error):
            ((is_busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            if not is_busy:
                for path, identity in self._companions.items():
                    if identity is not None and identity_of(path) == identity:
                        path.unlink()

    def close(self) -> None:
        """Release the claim. Call it after SQLite has closed the log."""
        if self._claim is not None:
            self._claim.close()
            self._claim = None


def ensure_own_log(path: Path, where: str) -> None:
    """Check, before SQLite opens a ledger, that no process uses its log for a file that was at the path before.

    SQLite would read that log, and might copy it into the file.

    Args:
        path: the path of the ledger, without symbolic links.
        where: the ledger, as the beginning of a sentence.

    Raises:
        LedgerError: a process does.
    """
    log, file = Log(path, where), identity_of(path)
    # Whoever only reads may have no right to the log, or be on a file system without locks.
    with contextlib.suppress(OSError):
        if file is not None:
            log.claim(file)
    log.close()


def companions_of(path: Path) -> tuple[Path, Path]:
    """Return the files that SQLite keeps beside a ledger: its write-ahead log, and the index of that."""
    return log_of(path), path.with_name(f"{path.name}-shm")


def log_of(path: Path) -> Path:
    """Return the write-ahead log of a ledger."""
    return path.with_name(f"{path.name}-wal")


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of a file; None if it cannot be found."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
