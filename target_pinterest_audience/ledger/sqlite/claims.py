"""The claim of a process on the file of a SQLite ledger: locks on bytes of the file itself.

Such locks belong to the file and not to its path, they cannot be deleted, and the system releases them when the process
dies. They are far beyond the end of the file and beyond the bytes that SQLite locks.

A process locks one byte, which follows from its fencing number: while the byte is locked, the process is alive. The
lists and sources that it holds are recorded in the ledger, under the same number (see `fence`). So a process needs one
lock, however many lists it works on.

It shares another byte with all processes that use the file by the same path. SQLite keeps a write-ahead log for each
path, so that two processes with different paths (a hard link, or a file that is mounted by itself) would not see each
other's changes, and would damage the ledger.

In the write-ahead log it shares a byte with all processes that use the log for the same file. If the file is replaced,
the log stays at the path, and whoever opens the new file would apply the changes of the old one to it. SQLite itself
locks nothing in the log.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import struct
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.system.waits import Wait

POLL_SECONDS: Final = 0.2

_FILES: Final = 1 << 60
"""The first byte of the range for files, in the write-ahead log."""
_PATHS: Final = 1 << 60
"""The first byte of the range for paths."""
_ALIVE: Final = 1 << 61
"""The first byte of the range for processes."""
_RANGE: Final = 1 << 60
"""The length of each range."""

_LINUX: Final = sys.platform == "linux"
_LAYOUT: Final = "hhqqi" if _LINUX else "qqihh"
"""`struct flock`: type, whence, start, length and process on Linux; on macOS and BSD the first two come last."""

_descriptors: dict[tuple[int, int], list[int]] = defaultdict(list)
"""File → the descriptors of it that claims have opened.

Closing one makes the process lose SQLite's locks on the same file, so all are closed together with the last ledger in
this process.
"""
_users: Counter[tuple[int, int]] = Counter()
_ours: set[tuple[tuple[int, int], int]] = set()
"""The locked bytes of ledgers in this process. Not every system reports them to the process itself."""


class Claim:
    """The claim of one ledger that is open, on its file or on its write-ahead log.

    Attributes:
        file: the device and the inode of the file, which show whether another file has replaced it.
    """

    def __init__(self, path: Path, access: int = os.O_RDWR) -> None:
        """Open the file.

        Args:
            path: its path, without symbolic links.
            access: how to open it. Bytes can be shared, but not locked, without the right to write.

        Raises:
            OSError: the file cannot be opened.
        """
        self._path = path
        self._descriptor = os.open(path, access | os.O_CLOEXEC)
        found = os.fstat(self._descriptor)
        self.file = (found.st_dev, found.st_ino)
        _descriptors[self.file].append(self._descriptor)
        _users[self.file] += 1
        self._locked: list[int] = []
        # Locks of the open file, which stay when another descriptor of the file is closed. Only Linux has them.
        self._get: int = getattr(fcntl, "F_OFD_GETLK", fcntl.F_GETLK)
        self._set: int = getattr(fcntl, "F_OFD_SETLK", fcntl.F_SETLK)

    def take_path(self, wait_seconds: float) -> None:
        """Check that no other process uses the file by another path, and keep others from doing so.

        Args:
            wait_seconds: how long to wait for processes that do.

        Raises:
            LedgerError: another process still uses the file by another path.
            OSError: the file system has no locks.
        """
        folder = self._path.parent.stat()
        path = f"{folder.st_dev} {folder.st_ino} {self._path.name}"
        digest = hashlib.blake2b(path.encode(errors="surrogateescape"), digest_size=4).digest()
        byte = _PATHS + int.from_bytes(digest, "big")
        deadline = time.monotonic() + wait_seconds
        wait = Wait("another process uses the ledger by another path", wait_seconds, setting="lock_wait_seconds")
        while True:
            self._lock(byte, shared=True)
            others = [*self._found(_PATHS, byte), *self._found(byte + 1, _PATHS + _RANGE)]
            if not others:
                return
            # A process that opens the file by the other path meanwhile must not wait for this one, which waits too.
            self._unlock(byte)
            if time.monotonic() >= deadline:
                msg = (
                    f"Another process uses the ledger {self._path} by another path: by a hard link, or because the "
                    f"file was mounted by itself. Both at once would damage it. This run waited {wait_seconds:.0f} s "
                    "(`lock_wait_seconds`). Use one path for all runs, and mount the folder of the ledger, not the "
                    "file."
                )
                raise LedgerError(msg)
            wait.log()
            time.sleep(POLL_SECONDS)

    def take_log_of(self, file: tuple[int, int]) -> bool:
        """Claim a write-ahead log for a file, and return whether no other process uses it for another file.

        Args:
            file: the device and the inode of the file of the ledger.

        Raises:
            OSError: the file system has no locks.
        """
        byte = _FILES + file[1] % _RANGE
        self._lock(byte, shared=True)
        return not [*self._found(_FILES, byte), *self._found(byte + 1, _FILES + _RANGE)]

    def show_life(self, number: int) -> None:
        """Lock the byte of a fencing number, until `close` or the end of the process.

        Raises:
            OSError: the file system has no locks.
        """
        byte = byte_of(number)
        self._lock(byte)
        _ours.add((self.file, byte))

    def is_alive(self, number: int) -> bool:
        """Return whether another process or ledger with a fencing number has the file open."""
        byte = byte_of(number)
        return any(True for _ in self._found(byte, byte + 1))

    def alive(self) -> set[int]:
        """Return the bytes of all other processes and ledgers that have shown life; see `byte_of`."""
        return set(self._found(_ALIVE, _ALIVE + _RANGE))

    def close(self) -> None:
        """Release all locks. Call it after SQLite has closed the file."""
        for byte in self._locked:
            with contextlib.suppress(OSError):
                self._call(fcntl.F_UNLCK, byte)
            _ours.discard((self.file, byte))
        self._locked.clear()
        _users[self.file] -= 1
        if not _users[self.file]:
            for descriptor in _descriptors.pop(self.file, []):
                os.close(descriptor)

    def _lock(self, byte: int, *, shared: bool = False) -> None:
        self._call(fcntl.F_RDLCK if shared else fcntl.F_WRLCK, byte)
        self._locked.append(byte)

    def _unlock(self, byte: int) -> None:
        self._call(fcntl.F_UNLCK, byte)
        self._locked.remove(byte)

    def _found(self, start: int, end: int) -> Iterator[int]:
        """Yield the bytes in a range that others have locked."""
        for file, byte in list(_ours):
            if file == self.file and start <= byte < end and byte not in self._locked:
                yield byte
        ranges = [(start, end)]
        while ranges:
            first, last = ranges.pop()
            if first >= last:
                continue
            kind, found, length = self._call(fcntl.F_WRLCK, first, last - first, test=True)
            if kind != fcntl.F_UNLCK:
                yield found
                # The system may report any one of several locks in the range.
                ranges += [(first, found), (found + max(length, 1), last)]

    def _call(self, kind: int, start: int, length: int = 1, *, test: bool = False) -> tuple[int, int, int]:
        """Lock, unlock or test a range.

        Returns:
            For a test, the type, the start and the length of a lock that is in the way.

        Raises:
            OSError: the file system has no locks.
        """
        command = self._get if test else self._set
        fields = (kind, os.SEEK_SET, start, length, 0) if _LINUX else (start, length, 0, kind, os.SEEK_SET)
        try:
            answer = fcntl.fcntl(self._descriptor, command, struct.pack(_LAYOUT, *fields) + b"\0" * 8)
        except OSError as error:
            if error.errno == errno.EINVAL and self._set != fcntl.F_SETLK:
                # The constants come from the machine that Python was built on; this system may lack the feature.
                self._get, self._set = fcntl.F_GETLK, fcntl.F_SETLK
                return self._call(kind, start, length, test=test)
            raise
        found = struct.unpack_from(_LAYOUT, answer)
        return (found[0], found[2], found[3]) if _LINUX else (found[3], found[0], found[1])


def byte_of(number: int) -> int:
    """Return the byte of a process with a fencing number."""
    return _ALIVE + number % _RANGE
