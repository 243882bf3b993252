"""Limits the memory of a process together with its page cache, as a container does."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_GROUPS: Final = Path("/sys/fs/cgroup")
_ENTER: Final = 'echo $$ > "$0/cgroup.procs" && exec "$@"'


@contextlib.contextmanager
def memory_limit(megabytes: int) -> Iterator[list[str]]:
    """Create a control group until the block ends, and yield what to put before a command so that it runs in it.

    Args:
        megabytes: the limit in MiB; 0 for none.
    """
    if not megabytes:
        yield []
        return
    one_tree = (_GROUPS / "cgroup.controllers").exists()
    group = (_GROUPS if one_tree else _GROUPS / "memory") / f"benchmark-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.max" if one_tree else "memory.limit_in_bytes")).write_text(str(megabytes << 20))
    except OSError as error:
        sys.exit(f"The memory cannot be limited ({error.strerror}): run this as root, or with --memory-mb 0.")
    try:
        yield ["sh", "-c", _ENTER, str(group)]
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()
