"""How much memory this process may use."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

_GROUPS: Final = Path("/proc/self/cgroup")
_ROOT: Final = Path("/sys/fs/cgroup")


def memory_bytes() -> int:
    """Return the memory of the machine, or the limit of the container if it is lower, in bytes."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_limits()])


def _limits() -> list[int]:
    """Return the limits of the control groups that this process is in: version 2 has one tree, version 1 several."""
    files = [_ROOT / "memory.max", _ROOT / "memory" / "memory.limit_in_bytes"]
    with contextlib.suppress(OSError):
        for line in _GROUPS.read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if not kinds:
                files.append(_ROOT / path.strip("/") / "memory.max")
            elif "memory" in kinds.split(","):
                files.append(_ROOT / "memory" / path.strip("/") / "memory.limit_in_bytes")
    limits = []
    for file in files:
        # In version 2, "max" says that there is no limit.
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(file.read_text()))
    return limits
