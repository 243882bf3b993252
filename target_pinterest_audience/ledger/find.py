"""Finds the ledger that the settings name. Light: databases are imported when one is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from target_pinterest_audience.errors import ConfigurationError, LedgerError
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.settings.paths import NO_PLACE, sqlite_path

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger


def find_ledger(settings: Settings, *, create: bool, read_only: bool = False) -> Ledger | None:
    """Open the ledger.

    Args:
        settings: the settings.
        create: whether to create one if there is none; in a dry run it is never kept.
        read_only: whether it is only read, for which the right to read is enough.

    Returns:
        The ledger; None if there is none and none is to be created.

    Raises:
        LedgerError: it cannot be opened.
        ConfigurationError: the driver for it is not installed, or it is to be made and there is no place for it.
    """
    if settings.ledger_url is None:
        if create:
            raise ConfigurationError(NO_PLACE)
        return None
    path = sqlite_path(settings.ledger_url)
    if not create and path is not None and not _is_there(path):
        return None
    from target_pinterest_audience.ledger.open import ledger_exists, open_ledger  # noqa: PLC0415 - only for who has a ledger

    if not create and not ledger_exists(settings.ledger_url):
        return None
    return open_ledger(
        settings.ledger_url,
        settings.api_url,
        settings.ad_account_id,
        wait_seconds=settings.lock_wait_seconds,
        dry=settings.dry_run,
        read_only=read_only,
    )


def no_ledger(settings: Settings) -> ConfigurationError:
    """Return the error of a command for which there must be a ledger, and is none."""
    from target_pinterest_audience.ledger.open import place_of  # noqa: PLC0415 - only for who wants a ledger

    if settings.ledger_url is None:
        return ConfigurationError(NO_PLACE)
    return ConfigurationError(
        f"There is no ledger {place_of(settings.ledger_url)} yet. Check `ledger_url`, or run the target."
    )


def _is_there(path: Path) -> bool:
    """Tell whether there is a file.

    Raises:
        LedgerError: a folder above it cannot be entered.
    """
    try:
        return path.exists()
    except OSError as error:
        msg = f"The ledger {path} cannot be looked for ({error.strerror}). Correct `ledger_url`, or let this user in."
        raise LedgerError(msg) from None
