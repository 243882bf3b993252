"""Locks between the processes of one machine: files beside the ledger, let go by the system when a process dies."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.ledger.holder import Holder, held_by, wait_for

_POLL_SECONDS: Final = 0.2

_OTHER_FILES: Final = 200
"""How many files may be open beside the locks: pipes, connections, the ledger."""


class FileLocks:
    """The locks that one process holds.

    The names are digested: a file system may not take them, and they can hold the name of a list.

    Attributes:
        folder: where the files are.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made with the first lock."""
        self.folder = folder
        self._held: dict[str, FileLock] = {}

    def acquire(self, names: Iterable[str], wait_seconds: float) -> None:
        """See `Ledger.lock`."""
        deadline = time.monotonic() + wait_seconds
        for name in names:
            if name in self._held:
                continue
            path = self.folder / hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
            note = path.with_suffix(".holder")
            with self._told():
                _allow_files(len(self._held) + _OTHER_FILES)
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = FileLock(path.with_suffix(".lock"), mode=0o600, thread_local=False)
                wait = wait_for(name, wait_seconds)
                while True:
                    try:
                        lock.acquire(timeout=0)
                    except Timeout:  # noqa: PERF203 - one round is a fifth of a second
                        left = deadline - time.monotonic()
                        if left <= 0:
                            raise held_by(_read(note), wait_seconds) from None
                        wait.say(partial(_read, note))
                        time.sleep(min(_POLL_SECONDS, left))
                    else:
                        break
                self._held[name] = lock
                self._write(note, Holder.this_process().encode())

    @property
    def names(self) -> set[str]:
        """The names of the locks that are held."""
        return set(self._held)

    def release(self) -> None:
        """Let go of all locks."""
        for lock in self._held.values():
            lock.release()
        self._held.clear()

    def _write(self, path: Path, content: bytes) -> None:
        beside = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        beside.replace(path)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        # The latter is how filelock says that a file system has no locks.
        except (OSError, NotImplementedError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            msg = (
                f"The locks of the ledger, in {self.folder}, cannot be used ({reason}). Make sure that the "
                "folder can be written to; a network file system may not have locks at all."
            )
            raise LedgerError(msg) from None


def _read(note: Path) -> Holder | None:
    """Return who has a lock, as its note says; None if it does not."""
    with contextlib.suppress(OSError):
        return Holder.read(note.read_bytes())
    return None


def _allow_files(count: int) -> None:
    """Raise the process's own limit of open files, where the system allows it: each lock is one, each list has two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        wanted = 2 * count if hard == resource.RLIM_INFINITY else min(2 * count, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
