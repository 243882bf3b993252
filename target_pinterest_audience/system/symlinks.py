"""Resolves the path of a file to be written, and refuses symbolic links and files of other users.

In a folder that others can write to, such as /tmp, anybody can create a link with the name of a file that is about to
be written, and have another file overwritten. Linux protects some folders against that (`protected_symlinks`). This
module protects all of them, on every system.
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
    """A symbolic link or file of another user is in the way."""

    def __init__(self, kind: str, path: Path) -> None:
        """Create it.

        Args:
            kind: what is in the way.
            path: its path.
        """
        super().__init__(
            errno.EACCES,
            f"{path} is a {kind} of another user and is not used; delete it, or choose a folder that nobody else can "
            "write to",
        )


def resolve(path: Path) -> Path:
    """Return the path of a file, which need not exist, without symbolic links.

    Links of this process's user and of root are followed. Another user's link is followed only if it names a folder
    and lies in a folder that belongs to that user and that nobody else can write to.

    Raises:
        ForeignFileError: another user's link is in the way.
        OSError: a part of the path cannot be read, or the links form a circle.
    """
    left = list(reversed(path.absolute().parts))
    resolved, links = Path(left.pop()), 0
    while left:
        step = left.pop()
        if step == os.pardir:
            resolved = resolved.parent
            continue
        following = resolved / step
        try:
            found = following.lstat()
        except FileNotFoundError:
            return following.joinpath(*reversed(left))
        if not stat.S_ISLNK(found.st_mode):
            resolved = following
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if not _is_trusted(found.st_uid, resolved.stat(), is_last=not left):
            raise ForeignFileError(kind="symbolic link", path=following)
        target = following.readlink()
        steps = target.parts
        if target.is_absolute():
            resolved, steps = Path(target.anchor), steps[1:]
        left += reversed(steps)
    return resolved


def open_anew(path: Path) -> int:
    """Truncate or create a file for appending, and return its descriptor. Only its owner can read the file.

    Raises:
        ForeignFileError: another user's link is in the way; or another user's file, in a folder that others can write
            to.
        OSError: the file cannot be written.
    """
    resolved = resolve(path)
    try:
        found = resolved.lstat()
    except FileNotFoundError:
        if path.exists():
            # A link in /proc need not name a path: /dev/stderr, for example, may lead to a pipe.
            return os.open(path, _FLAGS)
    else:
        refuse_foreign(resolved, found)
    # O_NOFOLLOW: a link that was created since is not followed either.
    descriptor = os.open(resolved, _FLAGS | os.O_CREAT | os.O_NOFOLLOW, _MODE)
    try:
        os.fchmod(descriptor, _MODE)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def refuse_foreign(path: Path, found: os.stat_result) -> None:
    """Refuse a file or folder that another user may have put into a folder that others can write to.

    Args:
        path: its path, without symbolic links.
        found: its status.

    Raises:
        ForeignFileError: it belongs neither to this process's user, nor to root, nor to the owner of its folder, and
            is not mounted there.
    """
    folder = path.parent.stat()
    is_foreign = found.st_uid not in {os.geteuid(), _ROOT, folder.st_uid} and found.st_dev == folder.st_dev
    if is_foreign and folder.st_mode & _OTHERS_WRITE:
        raise ForeignFileError(kind="folder" if stat.S_ISDIR(found.st_mode) else "file", path=path)


def _is_trusted(owner: int, folder: os.stat_result, *, is_last: bool) -> bool:
    """Return whether a link may be followed.

    Args:
        owner: the user who owns the link.
        folder: the folder that holds the link.
        is_last: whether the link names the file itself.
    """
    if owner in {os.geteuid(), _ROOT}:
        return True
    return not is_last and owner == folder.st_uid and not folder.st_mode & _OTHERS_WRITE
