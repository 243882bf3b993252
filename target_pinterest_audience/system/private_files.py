"""Files that only their owner can read, and that are there as a whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from target_pinterest_audience.system.own_links import place_of


def replace(path: Path, content: bytes) -> None:
    """Put a file in a path's place at one stroke; at the end of a symbolic link, which stays.

    Raises:
        OSError: it cannot be written there, something is there that is no file, or another user's symbolic link leads
            there.
    """
    place = place_of(path)
    if place.exists() and not place.is_file():
        raise OSError(errno.EINVAL, "there is something else than a file")
    write_beside(place, content).replace(place)
    sync_folder(place.parent)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, unless it is there.

    Raises:
        OSError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


def sync_folder(folder: Path) -> None:
    """Have a folder's names written to the disk, so that a rename outlives a power cut; where that is possible."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_beside(path: Path, content: bytes) -> Path:
    """Write a file in a path's folder, which is made if need be, so that it can take the path's place.

    Args:
        path: what it is to replace.
        content: what is to be in it.

    Returns:
        The new file, on the disk by then; mode 0600.

    Raises:
        OSError: it cannot be written there.
    """
    make_folder(path.parent)
    # mkstemp makes files that only their owner can read.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return Path(temporary)
