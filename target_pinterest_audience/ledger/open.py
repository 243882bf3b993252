"""Opens, or copies, the ledger that a URL names."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from target_pinterest_audience.errors import ConfigurationError, LedgerError
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.sqlite import file as sqlite_file
from target_pinterest_audience.ledger.sqlite.sqlite_ledger import SqliteLedger
from target_pinterest_audience.settings.paths import sqlite_path
from target_pinterest_audience.system.token_store import TokenStore


def open_ledger(
    url: str, api_url: str, ad_account_id: str, *, wait_seconds: float, dry: bool = False, read_only: bool = False
) -> Ledger:
    """Open a ledger, and create it unless it exists.

    Args:
        url: `sqlite:///` and an absolute path, or `postgresql://…`.
        api_url: the API of its lists.
        ad_account_id: the ad account of its lists.
        wait_seconds: how long to wait while another process writes to it.
        dry: whether to create nothing and to commit nothing.
        read_only: whether to write nothing at all. Nothing is created either, and the right to read is enough.

    Raises:
        LedgerError: the ledger cannot be opened, or comes from a newer version.
        ConfigurationError: the ledger is in PostgreSQL, and the driver is not installed.
    """
    path = sqlite_path(url)
    if path is not None:
        return SqliteLedger(path, api_url, ad_account_id, wait_seconds=wait_seconds, dry=dry, read_only=read_only)
    with _driver():
        from target_pinterest_audience.ledger.postgres.postgres_ledger import PostgresLedger  # noqa: PLC0415 - an extra
    return PostgresLedger(url, api_url, ad_account_id, wait_seconds=wait_seconds, dry=dry, read_only=read_only)


def ledger_exists(url: str) -> bool:
    """Return whether a ledger exists, without creating one.

    Args:
        url: `sqlite:///` and an absolute path, or `postgresql://…`.

    Raises:
        LedgerError: the server cannot be reached.
        ConfigurationError: the ledger is in PostgreSQL, and the driver is not installed.
    """
    path = sqlite_path(url)
    if path is not None:
        return path.exists()
    with _driver():
        from target_pinterest_audience.ledger.postgres.postgres_ledger import PostgresLedger  # noqa: PLC0415 - an extra
    return PostgresLedger.exists(url)


def check_usable(url: str, *, wait_seconds: float, dry: bool) -> None:
    """Check that a run could use a PostgreSQL ledger, without writing anything.

    Args:
        url: `postgresql://…`.
        wait_seconds: how long to wait for locks.
        dry: whether the run would be a dry one.

    Raises:
        LedgerError: it could not: its session or a right of its user is not enough.
        ConfigurationError: the driver is not installed.
    """
    with _driver():
        from target_pinterest_audience.ledger.postgres import usability  # noqa: PLC0415 - an extra
    usability.check_usable(url, wait_seconds=wait_seconds, dry=dry)


def back_up(url: str, copy: Path) -> None:
    """Copy a ledger to a new file.

    Args:
        url: `sqlite:///` and an absolute path, or `postgresql://…`.
        copy: the new file.

    Raises:
        ConfigurationError: the ledger is in PostgreSQL, or the new file exists or cannot be written.
        LedgerError: the ledger cannot be read, or the disk is full.
    """
    path = sqlite_path(url)
    if path is None:
        msg = (
            "This ledger is in PostgreSQL, which has its own backups. Run `pg_dump --schema target_pinterest_audience "
            "--format custom --file FILE` with the address in `ledger_url`."
        )
        raise ConfigurationError(msg)
    try:
        sqlite_file.back_up(path.resolve(), copy)
    except OSError as error:
        why = "exists already" if isinstance(error, FileExistsError) else f"cannot be written: {error.strerror}"
        msg = f"The backup {copy} {why}. Choose another file."
        raise ConfigurationError(msg) from None
    except sqlite3.Error as error:
        msg = f"The ledger {place_of(url)} cannot be copied: {error}. No backup was made."
        raise LedgerError(msg) from None


def place_of(url: str) -> str:
    """Return the place of a ledger, or where it would be, for the middle of a sentence; without a password."""
    path = sqlite_path(url)
    if path is not None:
        return f"at {path}"
    with _driver():
        from target_pinterest_audience.ledger.postgres.connection import Database  # noqa: PLC0415 - an extra
    return f"in {Database(url)}"


def token_store(url: str) -> TokenStore:
    """Return the store of refresh tokens in a PostgreSQL ledger.

    Args:
        url: `postgresql://…`.

    Raises:
        ConfigurationError: the driver is not installed.
    """
    with _driver():
        from target_pinterest_audience.ledger.postgres.credentials import LedgerCredentials  # noqa: PLC0415 - an extra
    return LedgerCredentials(url)


@contextlib.contextmanager
def _driver() -> Iterator[None]:
    try:
        yield
    except ImportError:
        msg = (
            "`ledger_url` names a PostgreSQL database, and the driver for it is not installed. Install "
            "target-pinterest-audience with the extra `postgres`."
        )
        raise ConfigurationError(msg) from None
