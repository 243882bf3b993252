"""The check of the files that a run writes for its owner."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.run.ledger_check import Found
from target_pinterest_audience.settings import Settings


def files_of(settings: Settings) -> dict[str, Path]:
    """Return the files that a run opens at its start, by the setting that names each."""
    paths = {
        "report_path": settings.report_path,
        "metrics_path": settings.metrics_path,
        "rejects_path": settings.rejects_path,
        "holdout_path": settings.holdout_path,
    }
    return {name: path for name, path in paths.items() if path is not None}


def check_files(settings: Settings) -> Found:
    """Check that a run could write its files, without creating them.

    Raises:
        ConfigurationError: one of them cannot be written.
    """
    files = files_of(settings)
    for setting, path in files.items():
        _check_writable(setting, path.absolute())
    return Found(f"{', '.join(f'`{name}`' for name in files)} can be written.")


def _check_writable(setting: str, path: Path) -> None:
    """Raise a ConfigurationError unless a file can be written, or created in the nearest folder that exists."""
    try:
        reason = _obstacle(path)
    except OSError as error:
        reason = error.strerror
    if reason is not None:
        msg = f"The file at `{setting}` cannot be written ({reason}). Correct the setting, or give this user access."
        raise ConfigurationError(msg)


def _obstacle(path: Path) -> str | None:
    """Return why a file cannot be written; None if it can. Raises an OSError if a folder says why."""
    if path.is_dir():
        return os.strerror(errno.EISDIR)
    if path.exists() and not os.access(path, os.W_OK):
        return os.strerror(errno.EACCES)
    # A device or a pipe has no folder to write to.
    if path.is_file() or not path.exists():
        with tempfile.TemporaryFile(dir=next(each for each in path.parents if each.exists())):
            pass
    return None
