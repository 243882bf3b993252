"""A folder in memory, if the machine has one: files there wait for no disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

_MOST_BYTES: Final = 4 << 30
"""How much the tests may write there together."""


def _find() -> str | None:
    folder = "/dev/shm"  # noqa: S108 - tests make folders of their own in it, as private as any
    return folder if Path(folder).is_dir() and shutil.disk_usage(folder).free > _MOST_BYTES else None


MEMORY: Final = _find()
"""The folder, on whose files a commit costs nothing; no death in a test is a power cut."""
