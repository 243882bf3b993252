"""A file for a secret that exists nowhere else once it has come: everything that can fail is tried before that."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from target_pinterest_audience.system.private_files import make_folder, sync_folder

_ROOM: Final = 8192
"""How many bytes the file may grow by when it is written: a refresh token, and what stands around it."""

_LOOK_SECONDS: Final = 0.2

Write = Callable[[bytes], None]
"""Writes the whole content of a file."""


class SecretFile:
    """A file that is replaced as a whole, or written in place where it cannot be replaced.

    It cannot where it is mounted by itself, where its folder cannot be written to, and where it belongs to another
    user; it must not where it has several names, since the others would keep the old content. Its content has to mean
    the same with blanks at its end, as JSON does.

    Attributes:
        place: the file itself, at the end of symbolic links.
    """

    def __init__(self, path: Path) -> None:
        """Name the file; it need not exist."""
        self.place = Path(os.path.realpath(path))
        self._new = self.place.with_name(f".{self.place.name}.new")

    def read(self) -> bytes:
        """Return the content; nothing if there is no file.

        Raises:
            OSError: it cannot be read, or is no file.
        """
        try:
            # A pipe would be waited for.
            if not stat.S_ISREG(self.place.stat().st_mode):
                raise OSError(errno.EINVAL, "it is not a file")
            return self.place.read_bytes()
        except FileNotFoundError:
            return b""

    @contextlib.contextmanager
    def room(self) -> Iterator[Write]:
        """Make room for new content, on the disk and with the rights that it takes; to be used under a lock.

        Yields:
            What writes the new content. If it is not called, the file stays as it is.

        Raises:
            OSError: there is no room, or the file cannot be written.
        """
        content = self.read()
        make_folder(self.place.parent)
        there = self.place.stat() if self.place.exists() else None
        if there is None or self._can_be_replaced(content, there):
            with self._room_beside(len(content) + _ROOM, there) as write:
                yield write
        else:
            with self._room_in_place(len(content) + _ROOM) as write:
                yield write

    def recover(self, is_whole: Callable[[bytes], bool]) -> None:
        """Finish what a process that was killed had begun; to be used under a lock.

        Args:
            is_whole: tells whether a content was written to its end.
        """
        with contextlib.suppress(OSError):
            new = self._new.lstat()
            if new.st_uid != os.geteuid() or not stat.S_ISREG(new.st_mode):
                return
            is_newer = not self.place.exists() or new.st_mtime_ns >= self.place.stat().st_mtime_ns
            if is_newer and is_whole(self._new.read_bytes()):
                self._replace()
            self._new.unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self, seconds: float) -> Iterator[bool]:
        """Lock the file itself, so that who reaches it by another path waits, too.

        Args:
            seconds: how long to wait for another process.

        Yields:
            Whether it is locked: there may be no file yet, or no locks on its file system.

        Raises:
            TimeoutError: another process has it for so long.
        """
        deadline = time.monotonic() + seconds
        with contextlib.ExitStack() as stack:
            try:
                while True:
                    descriptor = os.open(self.place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
                    closing = stack.enter_context(contextlib.ExitStack())
                    closing.callback(os.close, descriptor)
                    _lock(descriptor, deadline)
                    if os.path.samestat(os.fstat(descriptor), self.place.stat()):
                        break
                    # Whoever had it has replaced it.
                    closing.close()
            except TimeoutError:
                raise
            except OSError:
                yield False
                return
            yield True

    def _can_be_replaced(self, content: bytes, there: os.stat_result) -> bool:
        """Tell whether a new file can take the place, by having one with the same content do so."""
        if there.st_nlink > 1:
            return False
        try:
            with self._file_beside(there) as descriptor:
                _write_all(descriptor, content)
                os.fsync(descriptor)
                self._replace()
        except OSError:
            return False
        return True

    @contextlib.contextmanager
    def _room_beside(self, size: int, there: os.stat_result | None) -> Iterator[Write]:
        with self._file_beside(there) as descriptor:
            _write_all(descriptor, b" " * size)
            os.fsync(descriptor)

            def write(content: bytes) -> None:
                _overwrite(descriptor, content, size)
                try:
                    self._replace()
                except OSError:
                    # A file that was not there before could not be tried to be replaced.
                    self._write_anyhow(content)

            yield write

    @contextlib.contextmanager
    def _room_in_place(self, size: int) -> Iterator[Write]:
        descriptor = os.open(self.place, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
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

    def _write_anyhow(self, content: bytes) -> None:
        descriptor = os.open(self.place, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _overwrite(descriptor, content, len(content))
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _file_beside(self, there: os.stat_result | None) -> Iterator[int]:
        """Yield an empty file that can take the place of what is there; it is deleted unless it has done so."""
        self._new.unlink(missing_ok=True)
        descriptor = os.open(self._new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if there is not None:
                made = os.fstat(descriptor)
                if (made.st_uid, made.st_gid) != (there.st_uid, there.st_gid):
                    os.fchown(descriptor, there.st_uid, there.st_gid)
                os.fchmod(descriptor, _mode(there))
            yield descriptor
        finally:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                self._new.unlink(missing_ok=True)

    def _replace(self) -> None:
        self._new.replace(self.place)
        sync_folder(self.place.parent)


def _mode(there: os.stat_result) -> int:
    """Return the permission bits of a file, if it is closed to others; else those of a secret."""
    mode = stat.S_IMODE(there.st_mode)
    return 0o600 if mode & stat.S_IRWXO else mode


def _overwrite(descriptor: int, content: bytes, size: int) -> None:
    """Write a content over room that was made for it, so that no more room is needed, and leave nothing behind it."""
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
        TimeoutError: it is not to be had in time.
        OSError: there are no locks on its file system.
    """
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # noqa: PERF203 - one round is a wait
            if time.monotonic() >= deadline:
                raise TimeoutError from None
            time.sleep(_LOOK_SECONDS)
        else:
            return
