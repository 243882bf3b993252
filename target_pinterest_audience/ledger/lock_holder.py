"""The process that holds a lock, for messages to a person whose run waits for it."""

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


class Holder(msgspec.Struct, frozen=True, omit_defaults=True):
    """A process that holds a lock.

    Attributes:
        host: the name of its machine.
        process: its number there.
        program: its name.
        started: when it started.
        commits: in PostgreSQL, how many transactions it has committed since it took its first lock.
    """

    host: str
    process: int
    program: str
    started: datetime
    commits: int = 0

    @classmethod
    def this_process(cls, commits: int = 0) -> Holder:
        """Return this process."""
        return cls(socket.gethostname(), os.getpid(), Path(sys.argv[0]).name, _BEGAN, commits)

    @classmethod
    def read(cls, encoded: bytes) -> Holder | None:
        """Return the holder that `encode` encoded; None if the bytes are damaged."""
        try:
            return msgspec.json.decode(encoded, type=cls)
        except msgspec.DecodeError:
            return None

    def __str__(self) -> str:
        """Describe the process, for people."""
        started = self.started.isoformat(sep=" ", timespec="seconds")
        return f"process {self.process} on {self.host} ({self.program}, started {started})"

    def encode(self) -> bytes:
        """Return the holder as bytes, to store them."""
        return msgspec.json.encode(self)


def held_by(holder: Holder | None, wait_seconds: float) -> LedgerError:
    """Return the error of a process that waited for a lock in vain.

    Args:
        holder: the process that holds the lock; None if it is not known.
        wait_seconds: how long this process waited.
    """
    return LedgerError(
        f"Another run works on the same customer list: {_name(holder)}. This run waited {wait_seconds:.0f} s for it "
        "(`lock_wait_seconds`). Let it finish, and schedule runs so that they do not overlap."
    )


def wait_for(name: str, wait_seconds: float) -> Wait:
    """Return the wait for a lock, which logs itself.

    Args:
        name: the name of the lock: a realm, and what it locks there.
        wait_seconds: how long to wait at most.
    """
    # A realm has two lines; the rest may have several.
    what = name.split("\n", 2)[-1]
    return Wait(f"another run has {what}", wait_seconds, setting="lock_wait_seconds")


def written_by(where: str, holder: Holder | None, wait_seconds: float) -> LedgerError:
    """Return the error of a process that waited for another one's transaction in vain.

    Args:
        where: the ledger, as the beginning of a sentence.
        holder: the process that writes; None if it is not known.
        wait_seconds: how long this process waited.
    """
    return LedgerError(
        f"{where} is busy: {_name(holder)} is writing to it. This process waited {wait_seconds:.0f} s. Let the other "
        "one finish; if it is suspended or hangs, end it. Then run again."
    )


def _name(holder: Holder | None) -> str:
    return str(holder or "another process")
