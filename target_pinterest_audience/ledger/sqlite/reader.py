"""Reads the file of a SQLite ledger where nothing can be written."""

from __future__ import annotations

import errno
import os
import sqlite3
from typing import TYPE_CHECKING

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.sqlite.log import ensure_own_log, log_of

if TYPE_CHECKING:
    from pathlib import Path


class Reader:
    """A connection that only reads. The right to read the file and its folder is enough.

    Attributes:
        connection: the connection.
    """

    def __init__(self, path: Path, where: str, timeout: float) -> None:
        """Open the file.

        Args:
            path: its path.
            where: the ledger, as the beginning of a sentence.
            timeout: how many seconds SQLite waits for a process that writes.

        Raises:
            LedgerError: a run still uses the file that was at the path before.
            sqlite3.Error: the file cannot be read.
            OSError: the file cannot be read.
        """
        self._path = path
        self._where = where
        self._before: object = None
        if path.exists() and not os.access(path, os.R_OK):
            # SQLite's own error does not name rights as the reason.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        ensure_own_log(path, where)
        try:
            self.connection = _open(path, "mode=ro", timeout)
        except sqlite3.OperationalError as error:
            if "unable to open" not in str(error) and "readonly" not in str(error):
                raise
            # In a folder that is not writable, the file by which processes share the write-ahead log is missing. So
            # no process that could write it is at work there.
            if _size(log_of(path)):
                self.connection = _open(path, "mode=ro&vfs=unix-none", timeout, alone=True)
            else:
                self._before = self._state()
                self.connection = _open(path, "mode=ro&immutable=1", timeout)

    def ensure_current(self) -> None:
        """Check that no run wrote to the file where SQLite could not notice.

        Raises:
            LedgerError: a run did, so that what was read may be a mixture.
        """
        if self._before is not None and self._state() != self._before:
            msg = f"{self._where} was written to by a run while it was read. Call the command again."
            raise LedgerError(msg)

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
