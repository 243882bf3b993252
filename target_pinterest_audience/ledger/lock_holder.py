"""Who holds a lock, for the person whose run had to wait for it."""

from __future__ import annotations

import os
import socket
import sys
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.system.waits import Wait

_BEGAN = datetime.now(timezone.utc)


class Holder(msgspec.Struct, frozen=True):
    """A process that holds a lock."""

    host: str
    process: int
    program: str
    started: datetime

    @classmethod
    def this_process(cls) -> Holder:
        """Return the process that asks."""
        return cls(socket.gethostname(), os.getpid(), Path(sys.argv[0]).name, _BEGAN)

    @classmethod
    def read(cls, encoded: bytes) -> Holder | None:
        """Return what `encode` wrote; None if it is damaged."""
        try:
            return msgspec.json.decode(encoded, type=cls)
        except msgspec.DecodeError:
            return None

    def __str__(self) -> str:
        """Name the process, for people."""
        started = self.started.isoformat(sep=" ", timespec="seconds")
        return f"process {self.process} on {self.host} ({self.program}, started {started})"

    def encode(self) -> bytes:
        """Return a form to store."""
        return msgspec.json.encode(self)


def held_by(holder: Holder | None, wait_seconds: float) -> LedgerError:
    """Return the error that names who has what this process waited for."""
    return LedgerError(
        f"Another run works on the same customer list: {_name(holder)}. It was waited for, {wait_seconds:.0f} s "
        "(`lock_wait_seconds`). Let it finish, and schedule runs so that they do not overlap."
    )


def wait_for(name: str, wait_seconds: float) -> Wait:
    """Return what says for whom this process waits.

    Args:
        name: the lock's: a realm, and what it locks there.
        wait_seconds: how long at most.
    """
    # A realm has two lines; what is behind it may have more.
    what = name.split("\n", 2)[-1]
    return Wait(f"another run has {what}", wait_seconds, setting="lock_wait_seconds")


def written_by(where: str, holder: Holder | None, wait_seconds: float) -> LedgerError:
    """Return the error that names who has been writing to a ledger all the time.

    Args:
        where: names the ledger, as the beginning of a sentence.
        holder: who it is, if that is known.
        wait_seconds: how long this process waited.
    """
    return LedgerError(
        f"{where} is busy: {_name(holder)} is writing to it, and was waited for, {wait_seconds:.0f} s. Let it finish; "
        "if it is suspended or hangs, end it. Then run again."
    )


def _name(holder: Holder | None) -> str:
    return str(holder or "another process")
