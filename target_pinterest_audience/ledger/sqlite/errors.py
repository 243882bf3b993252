"""The errors of SQLite, in words that tell a person what happened and what to do."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Final

from target_pinterest_audience.errors import LedgerError

RESTORE: Final = (
    "Stop all runs. Move the file and the files beside it (-wal, -shm) away, and restore the newest backup in their "
    "place. Then run the tap once with a full refresh. Without a backup, the next run creates a new ledger: it sends "
    "everyone again, and cannot remove people who left since."
)

_DAMAGE: Final = {
    "malformed": "damaged or truncated",
    "file is not a database": "not a SQLite database, or its beginning is damaged: check `ledger_url`",
    "no such table": "damaged: a table is missing",
    "no such column": "damaged: a column is missing",
    "has no column": "damaged: a column is missing",
    "decode to UTF-8": "damaged: it holds text that is not UTF-8",
    "unsupported file format": "damaged, or was written by another program",
}
"""Part of SQLite's message → what happened. The message itself may quote what is in the file."""

_COVERED: Final = "No state was emitted that the ledger does not cover."


def is_locked(error: Exception) -> bool:
    """Return whether SQLite could not use the file because another process has locked it."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


class Errors:
    """Translates what goes wrong with one file."""

    def __init__(self, where: str, *, writes: bool) -> None:
        """Name the file.

        Args:
            where: the ledger, as the beginning of a sentence.
            writes: whether the process writes to it, which needs more rights.
        """
        self._where = where
        self._writes = writes

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Raise errors of SQLite and of the file system in the block as LedgerErrors."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise self.of(error) from None

    def of(self, error: Exception) -> LedgerError:
        """Return the LedgerError for an error of SQLite or of the file system."""
        words = str(error)
        damage = next((what for part, what in _DAMAGE.items() if part in words), None)
        if damage is not None:
            return self.damaged(damage)
        if is_locked(error):
            return self.locked()
        reason = error.strerror if isinstance(error, OSError) else words
        if not self._writes:
            return LedgerError(
                f"{self._where} cannot be read ({reason}). Make sure that this user may read the file, the files "
                "beside it (-wal, -shm) and its folder."
            )
        return LedgerError(
            f"{self._where} cannot be used ({reason}). Make sure that its folder is writable, and that the disk is "
            f"not full. {_COVERED}"
        )

    def locked(self, waited_seconds: float | None = None) -> LedgerError:
        """Return the error of a file that another process has locked.

        Args:
            waited_seconds: how long this process waited for it; None if not as long as the setting allows.
        """
        waited = (
            f"This process waited {waited_seconds:.0f} s for it (`lock_wait_seconds`). "
            if waited_seconds is not None
            else ""
        )
        return LedgerError(
            f"{self._where} is locked by another process: a long transaction of another run, or another program that "
            f"has the file open, such as a database browser or a backup. {waited}Let that process finish, or end it, "
            f"and run again; `lsof` shows which it is.{' ' + _COVERED if self._writes else ''}"
        )

    def damaged(self, what: str) -> LedgerError:
        """Return the error of a damaged file.

        Args:
            what: what is wrong with it, as the end of a sentence that begins with "The ledger is".
        """
        return LedgerError(f"{self._where} is {what}. {RESTORE}")
