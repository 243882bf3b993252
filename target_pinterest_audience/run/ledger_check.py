"""The check of the ledger: it finds out whether a run could use it, and creates nothing."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from target_pinterest_audience.errors import ConfigurationError, LedgerError
from target_pinterest_audience.ledger.find import find_ledger
from target_pinterest_audience.ledger.open import check_usable, place_of
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.settings.paths import NO_PLACE, sqlite_path


class Found(NamedTuple):
    """What a check found that passed."""

    detail: str
    warning: bool = False
    """Whether there is something to know before a run."""


def check_ledger(settings: Settings) -> Found:
    """Look for the ledger without creating it.

    Raises:
        ConfigurationError: no place is set for the ledger that these settings need.
        LedgerError: the ledger cannot be opened, or a run could not write it.
    """
    if settings.ledger_url is None:
        if settings.needs_ledger:
            raise ConfigurationError(NO_PLACE)
        return Found("no place is set for a ledger, and `load_method: append-only` needs none.")
    path = sqlite_path(settings.ledger_url)
    if path is None and settings.needs_ledger:
        check_usable(settings.ledger_url, wait_seconds=settings.lock_wait_seconds, dry=settings.dry_run)
    ledger = find_ledger(settings, create=False, read_only=True)
    if ledger is not None:
        with closing(ledger):
            _ensure_writable(ledger.where, path, settings)
            words = " ".join(filter(None, [f"{ledger.where} is there.", ledger.caveat]))
            return Found(words, warning=ledger.caveat is not None)
    if path is None:
        return Found(f"not created yet; the first run creates it {place_of(settings.ledger_url)}.")
    folder = next(each for each in path.parents if each.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        msg = f"There is no ledger at {path} yet, and the folder {folder} cannot be written to. Correct `ledger_url`."
        raise LedgerError(msg)
    return Found(f"not created yet; the first run creates it at {path}.")


def _ensure_writable(where: str, path: Path | None, settings: Settings) -> None:
    """Check that a run can write to a ledger that can be read.

    Raises:
        LedgerError: the ledger's file or folder is read-only.
    """
    if path is None or settings.dry_run:
        return
    for place, rights in ((path, os.W_OK), (path.parent, os.W_OK | os.X_OK)):
        if not os.access(place, rights):
            msg = (
                f"{where} can be read, which is enough for reports and dry runs. But a run must write to it, and "
                f"{place} is read-only for this user."
            )
            raise LedgerError(msg)
