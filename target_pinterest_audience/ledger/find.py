"""Finds the ledger that the settings name. It imports a database driver only to open a ledger."""

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
        create: whether to create the ledger if it does not exist; a dry run discards it.
        read_only: whether to write nothing, so that the right to read is enough.

    Returns:
        The ledger; None if it does not exist and should not be created.

    Raises:
        LedgerError: the ledger cannot be opened.
        ConfigurationError: its driver is not installed, or it should be created and no setting says where.
    """
    if settings.ledger_url is None:
        if create:
            raise ConfigurationError(NO_PLACE)
        return None
    path = sqlite_path(settings.ledger_url)
    if not create and path is not None and not _is_there(path):
        return None
    from target_pinterest_audience.ledger.open import ledger_exists, open_ledger  # noqa: PLC0415 - only with a ledger

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
    """Return the error of a command that needs a ledger when there is none."""
    from target_pinterest_audience.ledger.open import place_of  # noqa: PLC0415 - only with a ledger

    if settings.ledger_url is None:
        return ConfigurationError(NO_PLACE)
    return ConfigurationError(
        f"There is no ledger {place_of(settings.ledger_url)} yet. Check `ledger_url`, or run the target."
    )


def _is_there(path: Path) -> bool:
    """Return whether a file exists.

    Raises:
        LedgerError: this user may not enter a folder above it.
    """
    try:
        return path.exists()
    except OSError as error:
        msg = (
            f"The ledger {path} cannot be found ({error.strerror}). Correct `ledger_url`, or give this user access to "
            "its folder."
        )
        raise LedgerError(msg) from None
