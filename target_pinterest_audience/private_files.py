"""Files that only their owner can read, and that are there as a whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from target_pinterest_audience.own_links import place_of


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
    path.parent.mkdir(parents=True, exist_ok=True)
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
