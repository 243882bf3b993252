"""Writes files atomically, readable by their owner only unless it says otherwise."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path
from typing import Final

from target_pinterest_audience.system.symlinks import resolve

_PRIVATE: Final = 0o600


def replace(path: Path, content: bytes, mode: int = _PRIVATE) -> None:
    """Atomically replace a file. Symbolic links are followed, not replaced.

    Args:
        path: the path of the file.
        content: its new content.
        mode: who may read it.

    Raises:
        OSError: the file cannot be written, the path names something other than a file, or another user's symbolic link
            is in the way.
    """
    resolved = _resolved(path)
    write_beside(resolved, content, mode).replace(resolved)
    sync_folder(resolved.parent)


def check_replaceable(path: Path) -> None:
    """Check that `replace` can write a file, and leave it as it is.

    Raises:
        OSError: as `replace` raises it.
    """
    write_beside(_resolved(path), b"").unlink()


def _resolved(path: Path) -> Path:
    resolved = resolve(path)
    if resolved.exists() and not resolved.is_file():
        raise OSError(errno.EINVAL, "it is not a file")
    return resolved


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, unless they exist.

    Raises:
        OSError: the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


def sync_folder(folder: Path) -> None:
    """Write a folder's names to the disk, where that is possible, so that a rename survives a power cut."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_beside(path: Path, content: bytes, mode: int = _PRIVATE) -> Path:
    """Write a temporary file in the folder of a path, which is created if needed, so that it can replace the path.

    Args:
        path: the path to be replaced later.
        content: the content of the new file.
        mode: who may read it.

    Returns:
        The temporary file, written to the disk.

    Raises:
        OSError: the file cannot be written.
    """
    make_folder(path.parent)
    # mkstemp creates files that only their owner can read.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return Path(temporary)
