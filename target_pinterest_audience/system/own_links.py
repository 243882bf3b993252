"""Where a file that is to be written really is: at the end of symbolic links, as far as they can be trusted.

In a folder that others can write to, such as /tmp, anybody can lay a link under the name of a file that is about to be
written, and have another file overwritten. Linux guards some folders against that (`protected_symlinks`); this guards
all of them, on every system.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

_MOST_LINKS: Final = 40
_ROOT: Final = 0
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_FLAGS: Final = os.O_WRONLY | os.O_APPEND
_MODE: Final = 0o600


class ForeignFileError(OSError):
    """Another user laid a symbolic link on the way to a file, or a file in its place."""

    def __init__(self, kind: str, path: Path) -> None:
        """Say what is where.

        Args:
            kind: what it is.
            path: where it is.
        """
        super().__init__(
            errno.EACCES,
            f"{path} is a {kind} of another user and is not used; delete it, or choose a folder that nobody else can "
            "write to",
        )


def place_of(path: Path) -> Path:
    """Return where a file is, or would be, without any symbolic link in its path.

    Links of this process's user and of root are followed. Another user's link is followed only if it stands for a
    folder, in a folder that is that user's and that nobody else can write to.

    Raises:
        ForeignFileError: there is another user's link on the way.
        OSError: a part of the path cannot be looked at, or the links lead in a circle.
    """
    left = list(reversed(path.absolute().parts))
    place, links = Path(left.pop()), 0
    while left:
        step = left.pop()
        if step == os.pardir:
            place = place.parent
            continue
        there = place / step
        try:
            found = there.lstat()
        except FileNotFoundError:
            return there.joinpath(*reversed(left))
        if not stat.S_ISLNK(found.st_mode):
            place = there
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if not _is_trusted(found.st_uid, place.stat(), is_last=not left):
            raise ForeignFileError(kind="symbolic link", path=there)
        target = there.readlink()
        steps = target.parts
        if target.is_absolute():
            place, steps = Path(target.anchor), steps[1:]
        left += reversed(steps)
    return place


def open_anew(path: Path) -> int:
    """Begin a file anew, to be written at its end, and return its descriptor; links are followed as by `place_of`.

    The file can be read by its owner only.

    Raises:
        ForeignFileError: there is another user's link on the way, or, in a folder that others can write to, another
            user's file in its place.
        OSError: it cannot be written there.
    """
    place = place_of(path)
    try:
        found = place.lstat()
    except FileNotFoundError:
        if path.exists():
            # What /proc shows as links are no paths: a pipe, for example, that /dev/stderr leads to.
            return os.open(path, _FLAGS)
    else:
        folder = place.parent.stat()
        if found.st_uid not in {os.geteuid(), _ROOT, folder.st_uid} and folder.st_mode & _OTHERS_WRITE:
            raise ForeignFileError(kind="file", path=place)
    # A link that is laid only now is not followed either.
    descriptor = os.open(place, _FLAGS | os.O_CREAT | os.O_NOFOLLOW, _MODE)
    try:
        os.fchmod(descriptor, _MODE)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_trusted(owner: int, folder: os.stat_result, *, is_last: bool) -> bool:
    """Tell whether a link may be followed.

    Args:
        owner: of the link.
        folder: the folder that it is in.
        is_last: whether it stands for the file itself.
    """
    if owner in {os.geteuid(), _ROOT}:
        return True
    return not is_last and owner == folder.st_uid and not folder.st_mode & _OTHERS_WRITE
