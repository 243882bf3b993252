"""Locates the files that the target keeps between runs: the ledger and the refresh token."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import platformdirs

from target_pinterest_audience.errors import ConfigurationError

_NAME = "target-pinterest-audience"
_SQLITE = "sqlite:///"
_POSTGRESQL = ("postgresql://", "postgres://")


NO_PLACE: Final = (
    "There is no place for the ledger: `ledger_url` is not set, and this user has no writable home directory. Set "
    "`ledger_url`, for example to sqlite:////data/ledger.db."
)
"""The message if the ledger is needed, and `ledger_url` returned None."""

_NO_FILE: Final = (
    "After sqlite:///, `ledger_url` must have the path of a file and nothing else: the ledger is kept between runs, so "
    "it cannot be in memory (:memory:), and there are no options (?…, file:…). If the name of the file has a question "
    "mark, write it as %3F."
)


def ledger_url(configured: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the URL of the ledger: `sqlite:///` and an absolute path, or that of a PostgreSQL database.

    Args:
        configured: the setting.
        environ: the process's environment; Meltano sets `MELTANO_PROJECT_ROOT` for the plugins that it runs.

    Returns:
        The URL; None if the setting is not set and this user has no home directory for it. Not every run needs a
        ledger.

    Raises:
        ConfigurationError: the setting has an unsupported form, or is a relative path that looks like an absolute one.
    """
    if configured is None:
        if environ.get("MELTANO_PROJECT_ROOT"):
            folder: Path | None = Path(environ["MELTANO_PROJECT_ROOT"]) / ".meltano" / _NAME
        else:
            folder = _state_folder()
        return f"{_SQLITE}{folder.absolute() / 'ledger.db'}" if folder is not None else None
    if configured.startswith(_POSTGRESQL):
        return configured
    if not configured.startswith(_SQLITE) or not configured.removeprefix(_SQLITE):
        msg = "`ledger_url` must have the form sqlite:///path or postgresql://user@host/database."
        raise ConfigurationError(msg)
    rest = configured.removeprefix(_SQLITE)
    if rest.startswith((":memory:", "file:")) or "?" in rest:
        raise ConfigurationError(_NO_FILE)
    given = unquote(rest)
    if not given.startswith(("/", "~", ".")):
        _refuse_lost_slash(Path(given))
    return f"{_SQLITE}{expanded(given, 'ledger_url').absolute()}"


def _refuse_lost_slash(path: Path) -> None:
    """Refuse a relative path that looks like an absolute one: its ledger would be a new one in any other folder.

    Raises:
        ConfigurationError: the path begins with a folder that the root has and the working directory does not have.
    """
    first, *rest = path.parts
    if rest and Path("/", first).is_dir() and not Path(first).exists():
        msg = (
            f"`ledger_url` has a relative path, but the working directory has no folder {first}; the root of the file "
            f"system has one. Write sqlite:////{first}/… with four slashes for the absolute path, or "
            f"sqlite:///./{first}/… for the relative one."
        )
        raise ConfigurationError(msg)


def _state_folder() -> Path | None:
    """Return the user's state folder; None if there is none, as in many containers."""
    try:
        folder = platformdirs.user_state_path(_NAME)
        ledger = folder / "ledger.db"
        usable = ledger.exists() or os.access(next(each for each in ledger.parents if each.exists()), os.W_OK | os.X_OK)
    # Without a home, some versions of platformdirs raise RuntimeError, and some return a path that begins with `~`.
    except (RuntimeError, OSError):
        return None
    return folder if folder.is_absolute() and usable else None


def expanded(path: str, setting: str) -> Path:
    """Return the path that a setting names, with a leading `~` replaced by the home directory.

    Raises:
        ConfigurationError: the home directory is unknown.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        msg = f"`{setting}` begins with ~, but that home directory is unknown. Write the path in full, from / on."
        raise ConfigurationError(msg) from None


def sqlite_path(url: str) -> Path | None:
    """Return the file of the ledger at a URL that `ledger_url` returned; None if it is in PostgreSQL."""
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def credentials_path(configured: str | None, url: str | None) -> Path | None:
    """Return the file that keeps the newest refresh token: by default beside a SQLite ledger.

    Args:
        configured: the setting `credentials_file`.
        url: the ledger's, as `ledger_url` returned it.

    Returns:
        The file; None if the PostgreSQL ledger keeps the token, or if there is no ledger.

    Raises:
        ConfigurationError: the setting begins with `~`, and the home directory is unknown.
    """
    if configured:
        return expanded(configured, "credentials_file")
    path = sqlite_path(url) if url is not None else None
    return path.with_name("credentials.json") if path is not None else None
