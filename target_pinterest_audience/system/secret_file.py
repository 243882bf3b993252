"""A file for a secret that exists nowhere else once it arrives: everything that can fail is tried before that."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from target_pinterest_audience.system.private_files import make_folder, sync_folder
from target_pinterest_audience.system.symlinks import refuse_foreign, resolve

_ROOM: Final = 8192
"""How many bytes the file may grow by when it is written: a refresh token and its JSON."""

_POLL_SECONDS: Final = 0.2

Write = Callable[[bytes], None]
"""Writes the whole content of a file."""


class SecretFile:
    """A file that is replaced atomically, or written in place where it cannot be replaced.

    Another user could read the secret in a file that they have put there, by a symbolic link or in a folder that others
    can write to. Such a file is refused.

    It cannot be replaced if it is a mount point, if its folder is read-only, or if it belongs to another user. It must
    not be replaced if it has several hard links, since the others would keep the old content. Trailing blanks must not
    change the meaning of its content, as in JSON.
    """

    def __init__(self, path: Path) -> None:
        """Create it for a path; the file need not exist."""
        self._given = path

    @functools.cached_property
    def path(self) -> Path:
        """The file, after symbolic links.

        Raises:
            ForeignFileError: another user's symbolic link is in the way.
            OSError: a part of the path cannot be read, or the links form a circle.
        """
        return resolve(self._given)

    @property
    def _new(self) -> Path:
        return self.path.with_name(f".{self.path.name}.new")

    def check_owners(self) -> None:
        """Check that no other user can have put the file, or a folder on the way to it, where it is.

        Raises:
            ForeignFileError: another user can have done so.
            OSError: a part of the path cannot be read.
        """
        for each in (self.path, *self.path.parents):
            with contextlib.suppress(FileNotFoundError):
                refuse_foreign(each, each.lstat())

    def read(self) -> bytes:
        """Return the content; empty if the file does not exist.

        Raises:
            ForeignFileError: another user can have put the file there.
            OSError: the file cannot be read, or the path names something else.
        """
        self.check_owners()
        try:
            descriptor = self._open(os.O_RDONLY)
        except FileNotFoundError:
            return b""
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    @contextlib.contextmanager
    def room(self) -> Iterator[Write]:
        """Reserve room on the disk for new content, and check the permissions; call it under a lock.

        Yields:
            A function that writes the new content. If it is not called, the file does not change.

        Raises:
            OSError: the disk is full, or the file cannot be written.
        """
        content = self.read()
        make_folder(self.path.parent)
        old = self.path.stat() if self.path.exists() else None
        if old is None or self._can_be_replaced(content, old):
            with self._room_beside(len(content) + _ROOM, old) as write:
                yield write
        else:
            with self._room_in_place(len(content) + _ROOM) as write:
                yield write

    def recover(self, is_whole: Callable[[bytes], bool]) -> None:
        """Complete or undo the write of a process that was killed; call it under a lock.

        Args:
            is_whole: returns whether a content was written completely.
        """
        with contextlib.suppress(OSError):
            new = self._new.lstat()
            if new.st_uid != os.geteuid() or not stat.S_ISREG(new.st_mode):
                return
            is_newer = not self.path.exists() or new.st_mtime_ns >= self.path.stat().st_mtime_ns
            if is_newer and is_whole(self._new.read_bytes()):
                self._replace()
            self._new.unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self, seconds: float) -> Iterator[bool]:
        """Lock the file itself, so that a process that uses another path to it waits, too.

        Waits as well while another process has reserved room: somebody may have deleted the lock that it holds.

        Args:
            seconds: how long to wait for another process.

        Yields:
            Whether the file is locked: it may not exist yet, or its file system may have no locks.

        Raises:
            TimeoutError: another process holds the lock for so long.
        """
        deadline = time.monotonic() + seconds
        with contextlib.ExitStack() as stack:
            try:
                self._wait_for_room(deadline)
                while True:
                    descriptor = self._open(os.O_RDONLY)
                    closing = stack.enter_context(contextlib.ExitStack())
                    closing.callback(os.close, descriptor)
                    _lock(descriptor, deadline)
                    if os.path.samestat(os.fstat(descriptor), self.path.stat()):
                        break
                    # The process that held the lock has replaced the file.
                    closing.close()
            except TimeoutError:
                raise
            except OSError:
                yield False
                return
            yield True

    def _wait_for_room(self, deadline: float) -> None:
        """Wait while another process has reserved room beside the file.

        Raises:
            TimeoutError: it has until the deadline.
            OSError: the file system has no locks.
        """
        try:
            descriptor = self._open(os.O_RDONLY, self._new)
        except OSError:
            return
        try:
            _lock(descriptor, deadline)
        finally:
            os.close(descriptor)

    def _open(self, flags: int, path: Path | None = None) -> int:
        """Open the file, or another one beside it, and return the descriptor.

        Raises:
            ForeignFileError: another user has put it there since the path was checked.
            OSError: it cannot be opened, or is something else than a file.
        """
        path = path or self.path
        # O_NOFOLLOW: a link that was created since is not followed. O_NONBLOCK: opening a pipe would block.
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        with contextlib.ExitStack() as closing:
            closing.callback(os.close, descriptor)
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "it is not a file")
            refuse_foreign(path, found)
            closing.pop_all()
        return descriptor

    def _can_be_replaced(self, content: bytes, old: os.stat_result) -> bool:
        """Return whether the file can be replaced, by replacing it with one of the same content."""
        if old.st_nlink > 1:
            return False
        try:
            with self._file_beside(old) as descriptor:
                _write_all(descriptor, content)
                os.fsync(descriptor)
                self._replace()
        except OSError:
            return False
        return True

    @contextlib.contextmanager
    def _room_beside(self, size: int, old: os.stat_result | None) -> Iterator[Write]:
        with self._file_beside(old) as descriptor:
            _write_all(descriptor, b" " * size)
            os.fsync(descriptor)

            def write(content: bytes) -> None:
                _overwrite(descriptor, content, size)
                try:
                    self._replace()
                except OSError:
                    # A file that did not exist could not be used to test whether it can be replaced.
                    self._write_in_place(content)

            yield write

    @contextlib.contextmanager
    def _room_in_place(self, size: int) -> Iterator[Write]:
        descriptor = self._open(os.O_RDWR)
        try:
            before = os.fstat(descriptor)
            with contextlib.suppress(OSError):
                os.fchmod(descriptor, _mode(before))
            is_written = False

            def write(content: bytes) -> None:
                nonlocal is_written
                is_written = True
                _overwrite(descriptor, content, size)

            try:
                _write_all(descriptor, b" " * (size - before.st_size), before.st_size)
                os.fsync(descriptor)
                yield write
            finally:
                if not is_written:
                    with contextlib.suppress(OSError):
                        os.ftruncate(descriptor, before.st_size)
        finally:
            os.close(descriptor)

    def _write_in_place(self, content: bytes) -> None:
        descriptor = self._open(os.O_WRONLY | os.O_CREAT)
        try:
            _overwrite(descriptor, content, len(content))
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _file_beside(self, old: os.stat_result | None) -> Iterator[int]:
        """Yield an empty file with the owner and the mode of the old one; delete it unless it has replaced that."""
        self._new.unlink(missing_ok=True)
        descriptor = os.open(self._new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with contextlib.suppress(OSError):
                # For a process that could not find the usual lock.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if old is not None:
                new = os.fstat(descriptor)
                if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
                    os.fchown(descriptor, old.st_uid, old.st_gid)
                os.fchmod(descriptor, _mode(old))
            yield descriptor
        finally:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                self._new.unlink(missing_ok=True)

    def _replace(self) -> None:
        self._new.replace(self.path)
        sync_folder(self.path.parent)


def _mode(old: os.stat_result) -> int:
    """Return the permission bits of a file, or 0600 if other users can access it."""
    mode = stat.S_IMODE(old.st_mode)
    return 0o600 if mode & stat.S_IRWXO else mode


def _overwrite(descriptor: int, content: bytes, size: int) -> None:
    """Write a content over the reserved room, so that it needs no more room, and cut off the rest."""
    _write_all(descriptor, content.ljust(size))
    os.fsync(descriptor)
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, len(content))
        os.fsync(descriptor)


def _write_all(descriptor: int, content: bytes, offset: int = 0) -> None:
    rest = memoryview(content)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        offset, rest = offset + written, rest[written:]


def _lock(descriptor: int, deadline: float) -> None:
    """Lock an open file.

    Raises:
        TimeoutError: another process holds the lock until the deadline.
        OSError: the file system has no locks.
    """
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # noqa: PERF203 - one round is a wait
            if time.monotonic() >= deadline:
                raise TimeoutError from None
            time.sleep(_POLL_SECONDS)
        else:
            return
